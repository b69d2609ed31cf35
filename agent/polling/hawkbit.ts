// What devices told a hawkBit server, which pushes nothing. Enters: an app's settings, a cursor. Leaves: a page of reports.
//
// A poll reads again the actions that were open when it was asked before, by their ids, then those that are new, by rising
// id. Nothing but ids is filtered or sorted by: the time of an action's last change does not move when a device says
// something, an action's status is named differently before 0.10, and an offset would pass over an action when another one
// before it is deleted. So each action is read until it is over, whatever changes between two pages; what is read twice
// says the same at the same time, under the same name.
import type { AppId } from "../../ingest/contract/release-key.ts";
import type { Refused, Unavailable } from "../rollback/ota-server.ts";
import { createHawkbitApi, quoted } from "../rollback/servers/hawkbit-api.ts";
import type { HawkbitApi } from "../rollback/servers/hawkbit-api.ts";
import type { HawkbitOtaServerOptions } from "../rollback/servers/hawkbit.ts";
import { afterNew, afterOpen, openAfter, readHawkbitCursor, writeHawkbitCursor } from "./hawkbit-cursor.ts";
import type { ActionState, HawkbitCursor } from "./hawkbit-cursor.ts";
import { readReports } from "./hawkbit-reports.ts";
import type { HawkbitReading } from "./hawkbit-reports.ts";
import type { StatusPage, StatusPoller } from "./status-poller.ts";

/** Actions of one page: their ids stand in a URL, and each that has ended costs a look into its history. */
export const HAWKBIT_ACTIONS_PAGE = 200;

export interface HawkbitPollerOptions extends HawkbitOtaServerOptions {
  readonly app: AppId;
}

export function createHawkbitPoller(options: HawkbitPollerOptions): StatusPoller {
  const api = createHawkbitApi(options);
  return {
    type: "hawkbit",
    poll: async (text) => {
      const cursor = readHawkbitCursor(text, options.clock());
      const open = cursor.phase === "open" ? openAfter(cursor, HAWKBIT_ACTIONS_PAGE) : [];
      return open.length > 0 ? pollOpen(cursor, open, { api, options }) : pollNew(cursor, { api, options });
    },
  };
}

interface Server {
  readonly api: HawkbitApi;
  readonly options: HawkbitPollerOptions;
}

type Answer = Promise<StatusPage | Refused | Unavailable>;

async function pollOpen(cursor: HawkbitCursor, open: readonly number[], { api, options }: Server): Answer {
  const answer = await api.listActions({
    q: `id=in=(${open.join(",")})`,
    sort: "id:ASC",
    limit: HAWKBIT_ACTIONS_PAGE,
  });
  if (answer.kind !== "page") return answer;
  const told = await readReports(answer.items, readingOf(cursor, options), api);
  if (told.kind !== "told") return told;
  // What is not there any more was deleted, with its target or because its rollout was stopped before it began.
  const states = new Map(open.map((id): [number, ActionState] => [id, told.states.get(id) ?? "gone"]));
  const next = afterOpen(cursor, states);
  return { kind: "page", reports: told.reports, cursor: writeHawkbitCursor(next), more: true };
}

async function pollNew(cursor: HawkbitCursor, { api, options }: Server): Answer {
  const askedAtMs = options.clock();
  const after = cursor.phase === "new" ? Math.max(cursor.at, cursor.mark) : cursor.mark;
  const answer = await api.listActions({
    q: `distributionset.name==${quoted(options.distributionSet)};id=gt=${after}`,
    sort: "id:ASC",
    limit: HAWKBIT_ACTIONS_PAGE,
  });
  if (answer.kind !== "page") return answer;
  const reading = readingOf(cursor, options);
  // Those that are listed again because they are young were read already, by this poll or as over.
  const unseen = answer.items.filter(({ id }) => reading.stateOf(id) === undefined);
  const told = await readReports(unseen, reading, api);
  if (told.kind !== "told") return told;
  const isFull = answer.items.length >= HAWKBIT_ACTIONS_PAGE;
  const at = { ...cursor, at: cursor.phase === "new" ? cursor.at : 0 };
  const next = afterNew(at, told.states, { listed: answer.items, isFull, askedAtMs });
  return { kind: "page", reports: told.reports, cursor: writeHawkbitCursor(next), more: isFull };
}

function readingOf(
  { waiting, begun, over, fromMs }: HawkbitCursor,
  { app, targets }: HawkbitPollerOptions,
): HawkbitReading {
  const states = new Map<number, ActionState>();
  for (const id of waiting) states.set(id, "waiting");
  for (const id of begun) states.set(id, "begun");
  for (const id of over) states.set(id, "gone");
  return { app, targets, fromMs, stateOf: (id) => states.get(id) };
}
