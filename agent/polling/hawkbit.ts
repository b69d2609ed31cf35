// What devices told a hawkBit server, which pushes nothing: actions are read in the order in which they changed. Enters: an
// app's settings, a cursor. Leaves: a page of reports.
//
// An action changes in place, hours after others with higher numbers have ended, so its number says nothing of what is new:
// `lastModifiedAt` does. A page is asked for by the time up to which was read, never by an offset: an action that changes
// while pages are read moves to the end of the list, and an offset would then pass over one. Where more actions than a page
// holds changed in the same millisecond, an offset within that millisecond is all there is. What changed in the last minute
// is read again by the next poll, for a change that was committed late; read twice it says the same at the same time.
import { z } from "zod";
import { deviceReportSchema } from "../../ingest/contract/device-report.ts";
import type { DeviceEvent, DeviceReport } from "../../ingest/contract/device-report.ts";
import type { AppId, Channel } from "../../ingest/contract/release-key.ts";
import type { Refused, Unavailable } from "../rollback/ota-server.ts";
import { createHawkbitApi, quoted } from "../rollback/servers/hawkbit-api.ts";
import type { HawkbitAction, HawkbitApi } from "../rollback/servers/hawkbit-api.ts";
import type { HawkbitOtaServerOptions } from "../rollback/servers/hawkbit.ts";
import type { StatusPage, StatusPoller } from "./status-poller.ts";

/** A change that was committed so long after its own time is still read, in milliseconds. */
export const HAWKBIT_OVERLAP_MS = 60_000;
/** How far back the first poll begins: what is older can't be told any more, in milliseconds. */
export const HAWKBIT_FIRST_MS = 7 * 24 * 3_600_000;
/** Actions of one page: each that has ended costs a look into its history. */
export const HAWKBIT_ACTIONS_PAGE = 100;
/** Histories that are asked for at the same moment. */
const HISTORIES_AT_ONCE = 10;
/** Targets that are asked about at once: their ids stand in a URL. */
const TARGETS_AT_ONCE = 50;

export interface HawkbitPollerOptions extends HawkbitOtaServerOptions {
  readonly app: AppId;
}

/** `fromMs`: everything before it was read. `skip`: so many of that very millisecond were read too. */
const cursorSchema = z.object({ fromMs: z.number(), skip: z.number().int().min(0) });
type Cursor = z.infer<typeof cursorSchema>;

export function createHawkbitPoller(options: HawkbitPollerOptions): StatusPoller {
  const api = createHawkbitApi(options);
  return { type: "hawkbit", poll: (cursor) => poll(readCursor(cursor, options.clock()), api, options) };
}

function readCursor(text: string | undefined, nowMs: number): Cursor {
  try {
    return cursorSchema.parse(JSON.parse(text ?? ""));
  } catch {
    return { fromMs: nowMs - HAWKBIT_FIRST_MS, skip: 0 };
  }
}

async function poll(
  { fromMs, skip }: Cursor,
  api: HawkbitApi,
  options: HawkbitPollerOptions,
): Promise<StatusPage | Refused | Unavailable> {
  const askedAtMs = options.clock();
  const answer = await api.listActions({
    q: `distributionset.name==${quoted(options.distributionSet)};lastmodifiedat=ge=${fromMs}`,
    sort: "lastModifiedAt:ASC,id:ASC",
    offset: skip,
    limit: HAWKBIT_ACTIONS_PAGE,
  });
  if (answer.kind !== "page") return answer;
  const told = answer.items.filter(saysSomething);
  const channelOf = await channelsOf(told.map(targetOf), api, options);
  if (!(channelOf instanceof Map)) return channelOf;
  const begun = await beginningsOf(
    told.filter((action) => channelOf.has(targetOf(action))),
    api,
  );
  if (!(begun instanceof Map)) return begun;
  const reports = told.flatMap((action) => toReports(action, { channelOf, begun, app: options.app }));
  const isFull = answer.items.length >= HAWKBIT_ACTIONS_PAGE;
  const cursor = isFull
    ? nextPage(answer.items, { fromMs, skip })
    : nextPoll(answer.items, fromMs, askedAtMs);
  return { kind: "page", reports, cursor: JSON.stringify(cursor), more: isFull };
}

function nextPage(items: readonly HawkbitAction[], { fromMs, skip }: Cursor): Cursor {
  const lastMs = items.at(-1)!.lastModifiedAt;
  const ofLast = items.filter(({ lastModifiedAt }) => lastModifiedAt === lastMs).length;
  return { fromMs: lastMs, skip: lastMs === fromMs ? skip + ofLast : ofLast };
}

/** Never past what was seen: whose clock is right is not known. */
function nextPoll(items: readonly HawkbitAction[], fromMs: number, askedAtMs: number): Cursor {
  const last = items.at(-1);
  if (last === undefined) return { fromMs, skip: 0 };
  return { fromMs: Math.min(last.lastModifiedAt + 1, askedAtMs - HAWKBIT_OVERLAP_MS), skip: 0 };
}

/** In which the device has taken the action, and says so itself. */
const BEGUN: ReadonlySet<string> = new Set(["retrieved", "download", "downloaded", "warning"]);
const OUTCOME_OF: ReadonlyMap<string, DeviceEvent> = new Map([
  ["finished", "confirmed"],
  ["error", "install_failed"],
]);

/**
 * `running` is what a device tells while it installs, and also what an action is before its device has asked for anything,
 * be it switched off for weeks. Of one that was changed since it was made its history tells which of the two it is.
 */
function saysSomething({ status, lastModifiedAt, createdAt }: HawkbitAction): boolean {
  return BEGUN.has(status) || OUTCOME_OF.has(status) || (status === "running" && lastModifiedAt > createdAt);
}

/** When devices took their actions, by the action's id. An outcome of which nobody heard the beginning would have to wait (ADR 0005). */
async function beginningsOf(
  actions: readonly HawkbitAction[],
  api: HawkbitApi,
): Promise<Map<number, number> | Refused | Unavailable> {
  const begun = new Map<number, number>();
  for (let first = 0; first < actions.length; first += HISTORIES_AT_ONCE) {
    const some = actions.slice(first, first + HISTORIES_AT_ONCE);
    const histories = await Promise.all(
      some.map((action) =>
        BEGUN.has(action.status) ? Promise.resolve(undefined) : api.listStatuses(targetOf(action), action.id),
      ),
    );
    for (const [index, history] of histories.entries()) {
      const action = some[index]!;
      if (history === undefined) begun.set(action.id, action.lastModifiedAt);
      else if (history.kind !== "page") return history;
      else {
        const taken = history.items.find(({ type }) => BEGUN.has(type));
        const atMs = taken?.timestamp ?? taken?.reportedAt;
        if (atMs !== undefined && atMs !== null) begun.set(action.id, atMs);
      }
    }
  }
  return begun;
}

function targetOf(action: HawkbitAction): string {
  return decodeURIComponent(lastPartOf(linksOf(action).target.href));
}

function linksOf(action: HawkbitAction): HawkbitAction["_links"] {
  // oxlint-disable-next-line no-underscore-dangle -- HAL's own name (hal+json)
  return action._links;
}

function lastPartOf(href: string): string {
  return href.split("?")[0]!.replace(/\/+$/, "").split("/").at(-1) ?? "";
}

/** Which channel each target is of, by asking which of them the channel's filter finds; the first channel in the file wins. */
async function channelsOf(
  targets: readonly string[],
  api: HawkbitApi,
  { targets: filters }: HawkbitPollerOptions,
): Promise<Map<string, Channel> | Refused | Unavailable> {
  const found = new Map<string, Channel>();
  const asked = [...new Set(targets)].filter((target) => !/['"\\*]/.test(target));
  for (let first = 0; first < asked.length; first += TARGETS_AT_ONCE) {
    const some = asked.slice(first, first + TARGETS_AT_ONCE);
    const ids = some.map((target) => `controllerid==${quoted(target)}`).join(",");
    for (const [channel, filter] of filters) {
      const answer = await api.listTargets({ q: `(${filter});(${ids})`, limit: TARGETS_AT_ONCE });
      if (answer.kind !== "page") return answer;
      for (const { controllerId } of answer.items)
        if (!found.has(controllerId)) found.set(controllerId, channel);
    }
  }
  return found;
}

interface Known {
  readonly channelOf: ReadonlyMap<string, Channel>;
  readonly begun: ReadonlyMap<number, number>;
  readonly app: AppId;
}

function toReports(action: HawkbitAction, { channelOf, begun, app }: Known): DeviceReport[] {
  const device = targetOf(action);
  const channel = channelOf.get(device);
  const name = linksOf(action).distributionset["name"];
  if (channel === undefined || typeof name !== "string") return [];
  // `name:version`, as hawkBit names the link.
  const release = { app, channel, device, version: name.slice(name.lastIndexOf(":") + 1) };
  const beganAtMs = begun.get(action.id);
  const event = OUTCOME_OF.get(action.status);
  const code = action.lastStatusCode;
  const drafts = [
    ...(beganAtMs === undefined
      ? []
      : [{ ...release, event: "update_started", at: beganAtMs, id: `hawkbit-${action.id}-started` }]),
    ...(event === undefined
      ? []
      : [
          {
            ...release,
            event,
            at: action.lastModifiedAt,
            id: `hawkbit-${action.id}-${action.status}`,
            ...(event === "install_failed" && code != null ? { reason: `code_${code}` } : {}),
          },
        ]),
  ];
  return drafts.flatMap((draft) => deviceReportSchema.safeParse(draft).data ?? []);
}
