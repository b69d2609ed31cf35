// The calls of hawkBit's management API that Lastgood makes (eclipse-hawkbit/hawkbit, hawkbit-mgmt-api): HTTP Basic, paged
// lists of at most 500, filters in RSQL. Enters: what is asked. Leaves: values that were checked, or why there are none.
import { z } from "zod";
import type { Clock } from "../../../runtime/clock.ts";
import { notDone, parseJson, unreadable } from "../http-answer.ts";
import type { NamedAnswer } from "../http-answer.ts";
import { createNamedCall, jsonBody } from "../named-call.ts";
import type { Refused, Unavailable } from "../ota-server.ts";

/**
 * Targets, actions and rollouts of one page. hawkBit gives up to 500, but answers are read up to ANSWER_BYTES_MAX, and one
 * of these can take some kilobytes: long filters, descriptions, links.
 */
export const HAWKBIT_PAGE = 200;
/** Targets that are asked about at once, and the length of their names in a URL, in characters: servers take 8 kB of it. */
export const HAWKBIT_TARGETS_AT_ONCE = 50;
export const HAWKBIT_TARGETS_CHARS_MAX = 3_000;

/** Entries of an action's history that are read, from its beginning or from its end. */
export const HAWKBIT_STATUSES_MAX = 50;

export interface HawkbitApiOptions {
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** For one whole exchange, in milliseconds. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Lastgood's own version, for the user agent. */
  readonly productVersion?: string;
  readonly fetch?: typeof fetch;
}

const setSchema = z.looseObject({
  id: z.number().int(),
  name: z.string(),
  version: z.string(),
  createdAt: z.number().max(8.64e15),
  deleted: z.boolean().optional(),
  complete: z.boolean().optional(),
  valid: z.boolean().optional(),
});
const rolloutSchema = z.looseObject({
  id: z.number().int(),
  status: z.string(),
  targetFilterQuery: z.string(),
  distributionSetId: z.number().int(),
  deleted: z.boolean().optional(),
});
const targetSchema = z.looseObject({
  controllerId: z.string(),
  /** When its device asked last whether there is something for it; written some seconds late. */
  lastControllerRequestAt: z.number().nullish(),
});
const linkSchema = z.looseObject({ href: z.string(), name: z.string().nullish() });
/**
 * Of servers before 0.10 `status` is `pending` or `finished`, whichever way it ended, and `detailStatus` what `status` is
 * now. `lastModifiedAt` is passed over: it does not move when a device says something.
 */
const actionSchema = z
  .looseObject({
    id: z.number().int(),
    status: z.string(),
    detailStatus: z.string().nullish(),
    active: z.boolean().nullish(),
    createdAt: z.number(),
    lastStatusCode: z.number().nullish(),
    _links: z.looseObject({ target: linkSchema, distributionset: linkSchema }),
  })
  .transform(({ _links: links, ...action }) => ({
    ...action,
    controllerId: decode(lastPartOf(links.target.href)),
    setId: Number(lastPartOf(links.distributionset.href)),
    /** `name:version`. */
    setName: links.distributionset.name ?? "",
  }));
/** `timestamp` is passed over: it is the device's clock. */
const statusSchema = z.looseObject({
  type: z.string(),
  reportedAt: z.number(),
  messages: z.array(z.string()).nullish(),
  code: z.number().nullish(),
});
const assignmentSchema = z.looseObject({ assigned: z.number(), alreadyAssigned: z.number() });

export type HawkbitSet = z.infer<typeof setSchema>;
export type HawkbitRollout = z.infer<typeof rolloutSchema>;
export type HawkbitAction = z.infer<typeof actionSchema>;
export type HawkbitStatus = z.infer<typeof statusSchema>;
export type HawkbitTarget = z.infer<typeof targetSchema>;

export interface Page<T> {
  readonly kind: "page";
  readonly items: readonly T[];
  /** Of all that the filter finds. */
  readonly total: number;
}

export type Done = { readonly kind: "done" };
type Wrong = Refused | Unavailable;

export interface ListQuery {
  readonly q?: string;
  readonly sort?: string;
  readonly offset?: number;
  readonly limit?: number;
  readonly representation?: "full";
}

export interface HawkbitApi {
  listSets(query: ListQuery): Promise<Page<HawkbitSet> | Wrong>;
  listRollouts(query: ListQuery): Promise<Page<HawkbitRollout> | Wrong>;
  listTargets(query: ListQuery): Promise<Page<HawkbitTarget> | Wrong>;
  listActions(query: ListQuery): Promise<Page<HawkbitAction> | Wrong>;
  /** What an action went through, from its beginning or from its end; none of one that is not there any more. */
  listStatuses(action: HawkbitAction, from: "beginning" | "end"): Promise<Page<HawkbitStatus> | Wrong>;
  /** `illegal_state` = the rollout is in no state for it (400), or the server is too old to know the verb (404, 405). */
  changeRollout(
    id: number,
    verb: "stop" | "pause",
  ): Promise<Done | { readonly kind: "illegal_state"; readonly detail: string } | Wrong>;
  assign(setId: number, targets: readonly string[]): Promise<Done | Wrong>;
  invalidate(setId: number): Promise<Done | Wrong>;
}

const REMEDIES: Readonly<Record<number, string>> = {
  401: "; check ota_server.username and password, and that the server takes HTTP Basic",
  403: "; the user needs READ_TARGET, UPDATE_TARGET, READ_REPOSITORY, READ_ROLLOUT and HANDLE_ROLLOUT (and UPDATE_REPOSITORY to invalidate)",
  404: "; check ota_server.url: it is the server's root, and /rest/v1 is added to it",
};

export function createHawkbitApi(options: HawkbitApiOptions): HawkbitApi {
  const { clock } = options;
  const send = createSend(options);
  const list = async <S extends z.ZodType>(
    path: string,
    query: ListQuery,
    schema: S,
  ): Promise<Page<z.infer<S>> | Wrong> => {
    const named = await send("GET", path, query);
    if ("kind" in named) return named;
    if (named.answer.status !== 200) return wrong(named, clock);
    const parsed = z
      .looseObject({ content: z.array(schema), total: z.number() })
      .safeParse(parseJson(named.answer.text));
    if (!parsed.success) return unreadable(named, parsed.error, UNLIKE);
    return { kind: "page", items: parsed.data.content, total: parsed.data.total };
  };
  return {
    listSets: (query) => list("/distributionsets", query, setSchema),
    listRollouts: (query) => list("/rollouts", query, rolloutSchema),
    listTargets: (query) => list("/targets", query, targetSchema),
    listActions: (query) => list("/actions", { ...query, representation: "full" }, actionSchema),
    async listStatuses(action, from) {
      const path = `/targets/${encodeURIComponent(action.controllerId)}/actions/${action.id}/status`;
      const sort = from === "beginning" ? "id:ASC" : "id:DESC";
      const answer = await list(path, { sort, limit: HAWKBIT_STATUSES_MAX }, statusSchema);
      const isGone = answer.kind === "refused" && answer.detail.includes(" answered 404");
      return isGone ? { kind: "page", items: [], total: 0 } : answer;
    },
    async changeRollout(id, verb) {
      const named = await send("POST", `/rollouts/${id}/${verb}`);
      if ("kind" in named) return named;
      const { status } = named.answer;
      if (status === 204) return { kind: "done" };
      const answer = wrong(named, clock);
      return [400, 404, 405].includes(status) ? { kind: "illegal_state", detail: answer.detail } : answer;
    },
    async assign(setId, targets) {
      const body = targets.map((id) => ({ id, type: "forced" }));
      const named = await send("POST", `/distributionsets/${setId}/assignedTargets`, undefined, body);
      if ("kind" in named) return named;
      if (named.answer.status !== 200) return wrong(named, clock);
      const parsed = assignmentSchema.safeParse(parseJson(named.answer.text));
      return parsed.success ? { kind: "done" } : unreadable(named, parsed.error, UNLIKE);
    },
    async invalidate(setId) {
      // Their spelling. The rollouts of other channels go on: whoever shares a set decides there.
      const named = await send("POST", `/distributionsets/${setId}/invalidate`, undefined, {
        actionCancelationType: "none",
      });
      if ("kind" in named) return named;
      return [200, 204].includes(named.answer.status) ? { kind: "done" } : wrong(named, clock);
    },
  };
}

/** 423 (locked) and 409 (somebody changed it at the same moment) pass by themselves, and so does a quota (429). */
function wrong(named: NamedAnswer, clock: Clock): Wrong {
  const answer = notDone(named, clock, REMEDIES);
  const passes = named.answer.status === 409 || named.answer.status === 423;
  return passes ? { kind: "unavailable", detail: answer.detail } : answer;
}

const UNLIKE = ", but not as hawkBit does";

type Send = (
  method: "GET" | "POST",
  path: string,
  query?: ListQuery,
  body?: unknown,
) => Promise<NamedAnswer | Unavailable>;

function createSend(options: HawkbitApiOptions): Send {
  const call = createNamedCall(options);
  const headers = {
    Accept: "application/hal+json, application/json",
    Authorization: `Basic ${Buffer.from(`${options.username}:${options.password}`).toString("base64")}`,
  };
  return (method, path, query = {}, body) => {
    const url = new URL(`${options.url}/rest/v1${path}`);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
    return call({ method, url, headers, ...jsonBody(body) });
  };
}

/** In lower case, whichever version of hawkBit says it. */
export function statusOf({ status, detailStatus }: Pick<HawkbitAction, "status" | "detailStatus">): string {
  return (detailStatus ?? status).toLowerCase();
}

function lastPartOf(href: string): string {
  return href.split("?")[0]!.replace(/\/+$/, "").split("/").at(-1) ?? "";
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Lists of no more than one URL can hold, together all of them. */
export function targetLists(controllerIds: readonly string[]): string[][] {
  const lists: string[][] = [];
  let charsLeft = 0;
  for (const id of controllerIds) {
    const chars = encodeURIComponent(quoted(id)).length + ENCODED_COMMA_CHARS;
    const last = lists.at(-1);
    charsLeft -= chars;
    if (last !== undefined && last.length < HAWKBIT_TARGETS_AT_ONCE && charsLeft >= 0) last.push(id);
    else {
      lists.push([id]);
      charsLeft = HAWKBIT_TARGETS_CHARS_MAX - chars;
    }
  }
  return lists;
}

const ENCODED_COMMA_CHARS = 3;

export function quotedList(texts: readonly string[]): string {
  return `(${texts.map(quoted).join(",")})`;
}

/** A text between quotes of RSQL; the configuration lets none through that could end them. */
export function quoted(text: string): string {
  return `'${text.replaceAll(/['"\\]/g, "?")}'`;
}
