// What hawkBit's actions say of their devices: which have been taken, and how they ended. Enters: rows of actions, and what
// was known of them. Leaves: reports at the server's own times, and the state of each action; or why they can't be told.
import { deviceReportSchema } from "../../ingest/contract/device-report.ts";
import type { DeviceEvent, DeviceReport } from "../../ingest/contract/device-report.ts";
import type { AppId, Channel } from "../../ingest/contract/release-key.ts";
import type { Refused, Unavailable } from "../rollback/ota-server.ts";
import { quotedList, statusOf, targetLists } from "../rollback/servers/hawkbit-api.ts";
import type { HawkbitAction, HawkbitApi, HawkbitStatus } from "../rollback/servers/hawkbit-api.ts";
import type { ActionState } from "./hawkbit-cursor.ts";

/** Histories that are asked for at the same moment. */
const HISTORIES_AT_ONCE = 10;
/** Before what the server itself notes in an action's history: no device said it. */
const SERVER_SAYS = "Update Server:";
/** But this it notes for a device that closed an action without a word of its own. */
const FOR_A_DEVICE = "Target reported";

/** In which the device has taken the action, and says so itself. */
const BEGUN: ReadonlySet<string> = new Set(["retrieved", "download", "downloaded", "warning"]);
const OUTCOME_OF: ReadonlyMap<string, DeviceEvent> = new Map([
  ["finished", "confirmed"],
  ["error", "install_failed"],
]);
/**
 * `running` is what a device tells while it installs, and also what an action is before its device has asked for anything,
 * be it switched off for weeks; of one that is being cancelled nothing more is told either. Its history tells.
 */
const UNCLEAR: ReadonlySet<string> = new Set(["running", "canceling", "cancel_rejected"]);

export interface Told {
  readonly kind: "told";
  readonly reports: readonly DeviceReport[];
  readonly states: ReadonlyMap<number, ActionState>;
}

export interface HawkbitReading {
  readonly app: AppId;
  readonly distributionSet: string;
  readonly targets: ReadonlyMap<Channel, string>;
  /** Nothing from before this is told, epoch milliseconds. */
  readonly fromMs: number;
  /** What was known before; undefined for one that is seen for the first time. */
  readonly stateOf: (id: number) => ActionState | undefined;
}

type Wrong = Refused | Unavailable;

interface Device {
  readonly channel: Channel;
  /** Epoch milliseconds; null = never. */
  readonly heardAtMs: number | null;
}

export async function readReports(
  actions: readonly HawkbitAction[],
  reading: HawkbitReading,
  api: HawkbitApi,
): Promise<Told | Wrong> {
  const maybe = actions.filter((action) => mayTell(action, reading));
  const devices = await findDevices(
    maybe.map(({ controllerId }) => controllerId),
    reading.targets,
    api,
  );
  if (!(devices instanceof Map)) return devices;
  const asked = maybe.filter((action) => {
    const device = devices.get(action.controllerId);
    if (device === undefined) return false;
    // Of one whose device has not even been here since the action was made the history has nothing to tell.
    return !UNCLEAR.has(statusOf(action)) || (device.heardAtMs ?? 0) > action.createdAt;
  });
  const histories = await readHistories(asked, api);
  if (!(histories instanceof Map)) return histories;
  const reports: DeviceReport[] = [];
  const states = new Map<number, ActionState>();
  for (const action of actions) {
    const history = histories.get(action.id) ?? NO_HISTORY;
    const { channel } = devices.get(action.controllerId) ?? {};
    if (channel !== undefined) reports.push(...toReports(action, history, { ...reading, channel }));
    const hasBegun = reading.stateOf(action.id) === "begun" || history.taken !== undefined;
    states.set(action.id, isOver(action) ? "gone" : hasBegun ? "begun" : "waiting");
  }
  return { kind: "told", reports, states };
}

/** A `downloadonly` action ends with its download: what is on the device then is not installed. */
export function isOver(action: HawkbitAction): boolean {
  const status = statusOf(action);
  if (status === "downloaded") return action.active === false || action.status.toLowerCase() === "finished";
  return OUTCOME_OF.has(status) || status === "canceled";
}

function mayTell(action: HawkbitAction, { stateOf, fromMs }: HawkbitReading): boolean {
  const status = statusOf(action);
  const before = stateOf(action.id);
  // Of those that were over before anybody listened only the young ones are told: each costs a question.
  if (OUTCOME_OF.has(status)) return before !== undefined || action.createdAt >= fromMs;
  return before !== "begun" && (BEGUN.has(status) || UNCLEAR.has(status));
}

interface History {
  /** When the device had taken the action. */
  readonly taken: HawkbitStatus | undefined;
  readonly ended: HawkbitStatus | undefined;
}

const NO_HISTORY: History = { taken: undefined, ended: undefined };

async function readHistories(
  actions: readonly HawkbitAction[],
  api: HawkbitApi,
): Promise<Map<number, History> | Wrong> {
  const histories = new Map<number, History>();
  for (let first = 0; first < actions.length; first += HISTORIES_AT_ONCE) {
    const some = actions.slice(first, first + HISTORIES_AT_ONCE);
    const answers = await Promise.all(some.map((action) => readHistory(action, api)));
    for (const [index, answer] of answers.entries()) {
      if ("kind" in answer) return answer;
      histories.set(some[index]!.id, answer);
    }
  }
  return histories;
}

async function readHistory(action: HawkbitAction, api: HawkbitApi): Promise<History | Wrong> {
  const beginning = await api.listStatuses(action, "beginning");
  if (beginning.kind !== "page") return beginning;
  const taken = beginning.items.find(({ type }) => BEGUN.has(type));
  // The last of its kind: a cancellation that failed is an `error` too.
  const end = (items: readonly HawkbitStatus[]): HawkbitStatus | undefined =>
    items.findLast(({ type }) => type === statusOf(action));
  if (!OUTCOME_OF.has(statusOf(action))) return { taken, ended: undefined };
  if (beginning.total <= beginning.items.length) return { taken, ended: end(beginning.items) };
  const ending = await api.listStatuses(action, "end");
  return ending.kind === "page" ? { taken, ended: end(ending.items.toReversed()) } : ending;
}

/** Which channel each target is of, by asking which of them the channel's filter finds; the first channel in the file wins. */
async function findDevices(
  targets: readonly string[],
  filters: ReadonlyMap<Channel, string>,
  api: HawkbitApi,
): Promise<Map<string, Device> | Wrong> {
  const found = new Map<string, Device>();
  const asked = [...new Set(targets)].filter(isQuotable);
  for (const some of targetLists(asked)) {
    for (const [channel, filter] of filters) {
      const q = `(${filter});controllerid=in=${quotedList(some)}`;
      const answer = await api.listTargets({ q, limit: some.length });
      if (answer.kind !== "page") return answer;
      for (const { controllerId, lastControllerRequestAt: heardAtMs = null } of answer.items)
        if (!found.has(controllerId)) found.set(controllerId, { channel, heardAtMs });
    }
  }
  return found;
}

/** What can't stand between quotes of RSQL can't be asked for. */
function isQuotable(target: string): boolean {
  return !/['"\\*]/.test(target);
}

function toReports(
  action: HawkbitAction,
  { taken, ended }: History,
  { app, channel, distributionSet, fromMs, stateOf }: HawkbitReading & { readonly channel: Channel },
): DeviceReport[] {
  const prefix = `${distributionSet}:`;
  if (!action.setName.startsWith(prefix)) return [];
  const version = action.setName.slice(prefix.length);
  const of = { app, channel, device: action.controllerId, version };
  const event = OUTCOME_OF.get(statusOf(action));
  const drafts: ({ readonly at: number } & Readonly<Record<string, unknown>>)[] = [];
  if (taken !== undefined && stateOf(action.id) !== "begun")
    drafts.push({ ...of, event: "update_started", at: taken.reportedAt, id: `hawkbit-${action.id}-started` });
  if (event !== undefined && ended !== undefined && !isServersOwn(ended)) {
    const code = ended.code ?? action.lastStatusCode ?? undefined;
    const reason = event === "install_failed" && code !== undefined ? { reason: `code_${code}` } : {};
    const id = `hawkbit-${action.id}-${statusOf(action)}`;
    drafts.push({ ...of, event, at: ended.reportedAt, id, ...reason });
  }
  return drafts
    .filter(({ at }) => at >= fromMs)
    .flatMap((draft) => deviceReportSchema.safeParse(draft).data ?? []);
}

/** An assignment that was made as done already ("offline"), or skipped: a person's word or the server's, and no device's. */
function isServersOwn({ messages }: HawkbitStatus): boolean {
  return (
    messages?.some((message) => message.startsWith(SERVER_SAYS) && !message.includes(FOR_A_DEVICE)) === true
  );
}
