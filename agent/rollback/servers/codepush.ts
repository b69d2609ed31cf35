// OTA server of type `codepush`, by the management API of code-push-server and its forks. Going back *appends* a release
// there: v13 with the content of v11. So a release is known by its content (`packageHash`) as well as by its label, and the
// channel that was put back on v11 offers v13. The server has no idempotency key: every act begins by reading the history,
// which tells whether it was done before. Enters: the port's requests. Leaves: the port's answers.
//
// Two families speak this API. Microsoft's server and what was made from it tell the history oldest first and answer a
// rollback with 201 and the package; lisong/code-push-server and what was made from that tell it newest first and answer
// 200 `ok`, some versions without doing anything. So the order is read from the labels, and what was done from the history.
//
// There is no pause. `rollout` can only rise (409), and a release that is disabled takes its devices back to the release
// before it at their next check: that is a rollback to a target that nobody chose, not a stop where things are.
import { z } from "zod";
import { versionSchema } from "../../../ingest/contract/release-key.ts";
import type { Channel, ChannelKey, Version } from "../../../ingest/contract/release-key.ts";
import type { Clock } from "../../../runtime/clock.ts";
import { notDone, parseJson, unreadable } from "../http-answer.ts";
import type { NamedAnswer } from "../http-answer.ts";
import { createInTurn } from "../in-turn.ts";
import { createNamedCall } from "../named-call.ts";
import type {
  ChannelAnswer,
  ChannelState,
  OtaServer,
  Refused,
  Release,
  RollbackAnswer,
  RollbackRequest,
  Unavailable,
} from "../ota-server.ts";

export interface CodePushOtaServerOptions {
  readonly url: string;
  readonly accessKey: string;
  readonly app: string;
  /** Channels that are not here are the deployment of the same name. */
  readonly deployments: ReadonlyMap<Channel, string>;
  /** For one whole exchange, in milliseconds. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Lastgood's own version, for the user agent. */
  readonly productVersion?: string;
  readonly fetch?: typeof fetch;
}

/** The latest time that a Date can hold, in epoch milliseconds (ECMA-262, 21.4.1.1): one beyond it can't be told. */
export const UPLOAD_TIME_MS_MAX = 8_640_000_000_000_000;

const packageSchema = z.looseObject({
  label: z.string(),
  packageHash: z.string(),
  appVersion: z.string(),
  isDisabled: z.boolean().nullish(),
  uploadTime: z.number().min(0).max(UPLOAD_TIME_MS_MAX),
});
type Package = z.infer<typeof packageSchema>;

const historySchema = z.looseObject({ history: z.array(packageSchema) });
const rollbackSchema = z.looseObject({ package: z.looseObject({}) });

const REMEDIES: Readonly<Record<number, string>> = {
  401: "; check ota_server.access_key: it is wrong or has expired (code-push access-key ls)",
  403: "; the access key must belong to a collaborator or the owner of the app",
  404: "; check ota_server.app (of a shared app: owner@mail:name) and the deployment's name",
};

type Send = (method: "GET" | "POST", path: string) => Promise<NamedAnswer | Unavailable>;

export function createCodePushOtaServer(options: CodePushOtaServerOptions): OtaServer {
  const { deployments, app, clock } = options;
  const send = createSend(options);
  const pathOf = ({ channel }: ChannelKey): string =>
    `/apps/${encodeURIComponent(app)}/deployments/${encodeURIComponent(deployments.get(channel) ?? channel)}`;
  const codePush: CodePush = { send, pathOf, clock };
  const inTurn = createInTurn();
  return {
    type: "codepush",
    capabilities: { rollback: true, pause: false },
    readChannel: (key) => readChannel(key, codePush),
    rollback: (request) => inTurn(request, () => rollback(request, codePush)),
    pause: () =>
      Promise.resolve({
        kind: "refused",
        detail:
          "a CodePush server has no pause: its rollout can only rise, and a disabled release sends its devices back; let the policy roll back or page",
      }),
  };
}

interface CodePush {
  readonly send: Send;
  readonly pathOf: (key: ChannelKey) => string;
  readonly clock: Clock;
}

function createSend(options: CodePushOtaServerOptions): Send {
  const call = createNamedCall(options);
  const headers = {
    Accept: "application/vnd.code-push.v2+json",
    Authorization: `Bearer ${options.accessKey}`,
    "X-CodePush-CLI-Version": "3.0.0",
  };
  return (method, path) => call({ method, url: new URL(`${options.url}${path}`), headers });
}

interface History {
  readonly kind: "history";
  /** Newest first. */
  readonly packages: readonly Package[];
}

async function readHistory(
  key: ChannelKey,
  { send, pathOf, clock }: CodePush,
): Promise<History | Refused | Unavailable> {
  const named = await send("GET", `${pathOf(key)}/history`);
  if ("kind" in named) return named;
  if (named.answer.status !== 200) return notDone(named, clock, REMEDIES);
  const parsed = historySchema.safeParse(parseJson(named.answer.text));
  if (parsed.success) return { kind: "history", packages: newestFirst(parsed.data.history) };
  return unreadable(named, parsed.error, UNLIKE);
}

/** Labels count up (v1, v2, ...), whatever the order they are told in. Without such labels: as Microsoft's server tells them. */
function newestFirst(history: readonly Package[]): Package[] {
  const numberOf = ({ label }: Package): number => Number(/^v(\d+)$/.exec(label)?.[1] ?? Number.NaN);
  return history.some((each) => Number.isNaN(numberOf(each)))
    ? history.toReversed()
    : history.toSorted((left, right) => numberOf(right) - numberOf(left));
}

const UNLIKE = ", but not as a CodePush server does";

async function readChannel(key: ChannelKey, codePush: CodePush): Promise<ChannelAnswer> {
  const history = await readHistory(key, codePush);
  return history.kind === "history" ? { kind: "channel", state: toState(history.packages) } : history;
}

function isEnabled({ isDisabled }: Package): boolean {
  return isDisabled !== true;
}

/** What new devices are offered: the newest that is not disabled, be it only to a part of them. */
function offeredOf(packages: readonly Package[]): Package | undefined {
  return packages.find(isEnabled);
}

/** The server compares a target's text with that of the newest release, even where nobody is offered that one. */
function isReachable({ appVersion }: Package, packages: readonly Package[]): boolean {
  return appVersion === packages[0]?.appVersion && appVersion === offeredOf(packages)?.appVersion;
}

/**
 * What is offered, and what the channel can be set to: enabled (a rollback to a disabled release makes a disabled one), for
 * the same store binaries (else the server answers 409), and each content once, under its newest name.
 */
function toState(packages: readonly Package[]): ChannelState {
  const offered = offeredOf(packages);
  if (offered === undefined) return { version: null, releases: [] };
  const releases: Release[] = [];
  const told = new Set<string>();
  for (const each of packages) {
    const isListed = each === offered || (isEnabled(each) && isReachable(each, packages));
    if (!isListed || told.has(each.packageHash)) continue;
    told.add(each.packageHash);
    const version = versionSchema.safeParse(each.label);
    if (version.success) releases.push(toRelease(version.data, each, packages));
  }
  return { version: releases.find(({ version }) => version === offered.label)?.version ?? null, releases };
}

function toRelease(
  version: Version,
  { label, packageHash, uploadTime }: Package,
  packages: readonly Package[],
): Release {
  const older = packages.slice(packages.findIndex((each) => each.label === label) + 1);
  const sameAs = older
    .filter((each) => each.packageHash === packageHash)
    .flatMap((each) => versionSchema.safeParse(each.label).data ?? []);
  return {
    version,
    releasedAt: new Date(uploadTime).toISOString(),
    ...(sameAs.length === 0 ? {} : { sameAs }),
  };
}

async function rollback(request: RollbackRequest, codePush: CodePush): Promise<RollbackAnswer> {
  const before = await readHistory(request, codePush);
  if (before.kind !== "history") return before;
  const aim = aimOf(request, before.packages);
  if (aim.kind !== "act") return aim;
  const named = await codePush.send(
    "POST",
    `${codePush.pathOf(request)}/rollback/${encodeURIComponent(request.to)}`,
  );
  if ("kind" in named) return named;
  // "Already the newest", or another app version: the history tells which, and whether somebody was faster.
  if (named.answer.status === 409) return afterConflict(request, named, codePush);
  const unsaid = whyNotSaid(named, codePush.clock);
  if (unsaid !== undefined) return unsaid;
  // The answer does not name the new label, and may say more than was done.
  const after = await readHistory(request, codePush);
  if (after.kind !== "history") return after.kind === "refused" ? { ...after, kind: "unavailable" } : after;
  const { version } = toState(after.packages);
  if (version !== null) return { kind: "done", version };
  return { kind: "unavailable", detail: "the CodePush server made the release, and does not offer it" };
}

/** Undefined where the server says, in the words of either family, that it rolled back. */
function whyNotSaid(named: NamedAnswer, clock: Clock): Refused | Unavailable | undefined {
  const { status, text } = named.answer;
  if (status === 200 && text.trim() === "ok") return undefined;
  if (status !== 201) return notDone(named, clock, REMEDIES);
  const parsed = rollbackSchema.safeParse(parseJson(text));
  return parsed.success ? undefined : unreadable(named, parsed.error, UNLIKE);
}

type Aim = { readonly kind: "act" } | Exclude<RollbackAnswer, Unavailable>;

function aimOf({ from, to }: RollbackRequest, packages: readonly Package[]): Aim {
  const state = toState(packages);
  const target = packages.find(({ label }) => label === to);
  const offered = offeredOf(packages);
  if (offered === undefined || state.version === null)
    return { kind: "stale", detail: "the deployment offers no release" };
  if (target === undefined)
    return {
      kind: "refused",
      detail: `the deployment's history has no ${to}: the server keeps the newest releases only (Microsoft's 50)`,
    };
  if (offered.packageHash === target.packageHash) return { kind: "done", version: state.version };
  if (offered.label !== from)
    return { kind: "stale", detail: `the deployment no longer offers ${from}, but ${offered.label}` };
  if (!isEnabled(target))
    return {
      kind: "refused",
      detail: `${to} is disabled, and going back to it would offer nothing: enable it first`,
    };
  if (!isReachable(target, packages))
    return { kind: "refused", detail: explainUnreachable(target, packages) };
  return { kind: "act" };
}

function explainUnreachable(target: Package, packages: readonly Package[]): string {
  const inTheWay = [offeredOf(packages), packages[0]].find((each) => each?.appVersion !== target.appVersion);
  return `${target.label} is for the store versions ${target.appVersion}, and ${inTheWay?.label} for ${inTheWay?.appVersion}: CodePush does not go back across that; release the content of ${target.label} again by hand`;
}

async function afterConflict(
  request: RollbackRequest,
  named: NamedAnswer,
  codePush: CodePush,
): Promise<RollbackAnswer> {
  const after = await readHistory(request, codePush);
  if (after.kind !== "history") return after;
  const aim = aimOf(request, after.packages);
  return aim.kind === "act" ? notDone(named, codePush.clock) : aim;
}
