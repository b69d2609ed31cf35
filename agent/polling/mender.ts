// What devices told a Mender server, which pushes nothing: its deployments' counters are looked at, and the lists of
// devices behind those that moved are read, page by page. Enters: an app's settings, a cursor. Leaves: a page of reports.
// One call is one page of one list, or one look at all counters; what there is to read is in the cursor (mender-plan.ts).
import { REPORT_AGE_MS_MAX } from "../../ingest/contract/device-report.ts";
import type { AppId, Channel } from "../../ingest/contract/release-key.ts";
import { targetOf } from "../rollback/servers/mender.ts";
import type { MenderOtaServerOptions } from "../rollback/servers/mender.ts";
import { createMenderApi } from "../rollback/servers/mender-api.ts";
import type { MenderApi, MenderDeployment } from "../rollback/servers/mender-api.ts";
import { deploymentsOf } from "../rollback/servers/mender-history.ts";
import type { Refused, Unavailable } from "../rollback/ota-server.ts";
import { afterPage, makePlan, readPlan } from "./mender-plan.ts";
import type { Plan, PlannedDeployment } from "./mender-plan.ts";
import { reportsOf } from "./mender-reports.ts";
import type { StatusPage, StatusPoller } from "./status-poller.ts";

/** How old a deployment may be that is first seen when it has ended, in milliseconds; those that run always are. */
export const MENDER_DEPLOYMENT_AGE_MS_MAX = 30 * 24 * 3_600_000;
/** Pages of deployments of one look, of each of the two lists. */
export const MENDER_LOOK_PAGES_MAX = 20;
/** Reports older than what ingest takes as they are, less this, are not made: they must not grow too old on their way. */
const ON_THE_WAY_MS = 3_600_000;

export interface MenderPollerOptions extends MenderOtaServerOptions {
  readonly app: AppId;
  /** All channels of the app. */
  readonly watched: readonly Channel[];
}

export function createMenderPoller(options: MenderPollerOptions): StatusPoller {
  const api = createMenderApi(options);
  return {
    type: "mender",
    poll(cursor) {
      const plan = readPlan(cursor);
      return plan.work.length === 0 ? look(plan, api, options) : readOn(plan, api, options);
    },
  };
}

/** Reads the counters of all deployments. */
async function look(
  { marks }: Plan,
  api: MenderApi,
  options: MenderPollerOptions,
): Promise<StatusPage | Refused | Unavailable> {
  const nowMs = options.clock();
  const listed = await listDeployments(marks, api, nowMs);
  if (!Array.isArray(listed)) return listed;
  const plan = makePlan(marks, toPlan(listed, options, nowMs), nowMs);
  return toPage([], plan);
}

async function listDeployments(
  marks: Plan["marks"],
  api: MenderApi,
  nowMs: number,
): Promise<MenderDeployment[] | Refused | Unavailable> {
  const byId = new Map<string, MenderDeployment>();
  const oldestMs = nowMs - MENDER_DEPLOYMENT_AGE_MS_MAX;
  for (const status of [undefined, "inprogress"] as const)
    for (let page = 1; page <= MENDER_LOOK_PAGES_MAX; page += 1) {
      const answer = await api.listDeployments(page, status);
      if (answer.kind !== "page") return answer;
      for (const deployment of answer.items) byId.set(deployment.id, deployment);
      const oldest = answer.items.at(-1);
      const isOld = oldest !== undefined && Date.parse(oldest.created) < oldestMs;
      if (answer.isLast || (status === undefined && isOld)) break;
    }
  // One that ended while the list was read moved those behind it out of sight; and its end is still to be read.
  for (const { id, isOpen } of Object.values(marks)) {
    if (!isOpen || byId.has(id)) continue;
    const answer = await api.readDeployment(id);
    if (answer.kind !== "deployment") return answer;
    if (answer.deployment !== null) byId.set(id, answer.deployment);
  }
  return [...byId.values()];
}

function toPlan(
  listed: readonly MenderDeployment[],
  { app, watched, channels, artifact }: MenderPollerOptions,
  nowMs: number,
): readonly PlannedDeployment[] {
  const byId = new Map(listed.map((deployment) => [deployment.id, deployment]));
  return watched.flatMap((channel) => {
    const key = { app, channel };
    const own = deploymentsOf({ key, target: targetOf(channels, channel), artifact }, listed);
    return own.flatMap(({ id, version }): PlannedDeployment[] => {
      const { status, finished, statistics } = byId.get(id)!;
      const isFinished = status === "finished";
      // Nothing that happened in it is young enough to be told.
      if (isFinished && finished != null && Date.parse(finished) < nowMs - REPORT_AGE_MS_MAX) return [];
      return [{ id, channel, version, isFinished, counters: statistics?.status ?? {} }];
    });
  });
}

/** Reads one page of the first list that is to be read. */
async function readOn(
  plan: Plan,
  api: MenderApi,
  { app, clock }: MenderPollerOptions,
): Promise<StatusPage | Refused | Unavailable> {
  const { id, channel, version, statuses, page } = plan.work[0]!;
  const answer = await api.listDevices(id, page, statuses[0]);
  if (answer.kind === "gone") return toPage([], afterPage(plan, { rows: 0, isLast: true }, clock()));
  if (answer.kind !== "page") return answer;
  const sinceMs = clock() - REPORT_AGE_MS_MAX + ON_THE_WAY_MS;
  const deployment = { id, release: { app, channel, version } };
  const reports = answer.items.flatMap((device) => reportsOf(device, deployment, sinceMs));
  const { items, isLast } = answer;
  return toPage(reports, afterPage(plan, { rows: items.length, isLast }, clock()));
}

function toPage(reports: StatusPage["reports"], plan: Plan): StatusPage {
  return { kind: "page", reports, cursor: JSON.stringify(plan), more: plan.work.length > 0 };
}
