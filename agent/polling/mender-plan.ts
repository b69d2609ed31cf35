// Which lists of which deployments are to be read again. Pure. Mender has no list of changes: entries change in place, and
// its lists are sorted by what changes. But every change moves a counter of the deployment, after the entry; so a list
// is read again when counters are not what they were *before* it was last read. Enters: deployments with their counters,
// and marks of what has been read. Leaves: lists to read, and the marks.
import { z } from "zod";
import { channelSchema, versionSchema } from "../../ingest/contract/release-key.ts";
import type { Channel, Version } from "../../ingest/contract/release-key.ts";
import { MENDER_ACTIVE_STATUSES, MENDER_ENDED_STATUSES } from "./mender-reports.ts";

/** A running deployment whose counters moved is read in full this often, in milliseconds: see `isFullDue`. */
export const MENDER_FULL_READ_MS = 10 * 60_000;
/** And this often though they stand still, in milliseconds. */
export const MENDER_STILL_READ_MS = 60 * 60_000;
/** Rest after a list was read, in milliseconds per entry: long lists are not read without a pause while they grow. */
export const MENDER_REST_MS_PER_ROW = 5;
export const MENDER_REST_MS_MAX = 10 * 60_000;

/** What is read as one: the most urgent first. */
const LANES = ["failure", "active", "success", "already-installed"] as const;
type Lane = (typeof LANES)[number];

export interface PlannedDeployment {
  readonly id: string;
  readonly channel: Channel;
  readonly version: Version;
  readonly isFinished: boolean;
  readonly counters: Readonly<Record<string, number>>;
}

const laneMarkSchema = z.object({ seen: z.string(), endMs: z.number(), rows: z.number() });
const markSchema = z.object({
  id: z.string(),
  isOpen: z.boolean(),
  /** All counters before it was last read in full. */
  full: z.string(),
  fullMs: z.number(),
  lanes: z.partialRecord(z.enum(LANES), laneMarkSchema),
});
export type Mark = z.infer<typeof markSchema>;

const workSchema = z.object({
  mark: z.string(),
  id: z.string(),
  channel: channelSchema,
  version: versionSchema,
  lane: z.enum(LANES),
  /** Lists that are still to be read, the first of them from `page` on. */
  statuses: z.array(z.string()).min(1),
  page: z.number(),
  seen: z.string(),
  rows: z.number(),
});
export type Work = z.infer<typeof workSchema>;

const planSchema = z.object({
  v: z.literal(1),
  marks: z.record(z.string(), markSchema),
  work: z.array(workSchema),
});
/** The cursor: what has been read, and what is being read. */
export type Plan = z.infer<typeof planSchema>;

const FINISHED = " finished";
const NOTHING_READ: Plan = { v: 1, marks: {}, work: [] };

/** From the beginning where it can't be read: what is read twice counts once. */
export function readPlan(cursor: string | undefined): Plan {
  if (cursor === undefined) return NOTHING_READ;
  try {
    const parsed = planSchema.safeParse(JSON.parse(cursor));
    return parsed.success ? parsed.data : NOTHING_READ;
  } catch {
    return NOTHING_READ;
  }
}

/** Marks of deployments that are not among these are dropped. */
export function makePlan(
  marks: Plan["marks"],
  deployments: readonly PlannedDeployment[],
  nowMs: number,
): Plan {
  const kept: Record<string, Mark> = {};
  const work: Work[] = [];
  for (const deployment of deployments) {
    // With the version: who names it otherwise from now on wants to hear it all again.
    const name = `${deployment.channel}/${deployment.version}/${deployment.id}`;
    const before = marks[name] ?? { id: deployment.id, isOpen: true, full: "", fullMs: 0, lanes: {} };
    const all = textOf(deployment.counters);
    const isFull = isFullDue(before, deployment, { all, nowMs });
    const lanes = { ...before.lanes };
    kept[name] = {
      id: deployment.id,
      isOpen: !deployment.isFinished,
      full: isFull ? `${all}${deployment.isFinished ? FINISHED : ""}` : before.full,
      fullMs: isFull ? nowMs : before.fullMs,
      lanes,
    };
    for (const lane of LANES) {
      const seen = lane === "active" ? all : String(deployment.counters[lane] ?? 0);
      const mark = before.lanes[lane];
      const isDue = isFull || (seen !== (mark?.seen ?? "0") && !isResting(mark, nowMs));
      const statuses = statusesOf(lane).filter((status) => (deployment.counters[status] ?? 0) > 0);
      if (!isDue) continue;
      if (statuses.length === 0) {
        lanes[lane] = { seen, endMs: nowMs, rows: 0 };
        continue;
      }
      const { id, channel, version } = deployment;
      work.push({ mark: name, id, channel, version, lane, statuses, page: 1, seen, rows: 0 });
    }
  }
  const urgency = ({ lane }: Work): number => LANES.indexOf(lane);
  return { v: 1, marks: kept, work: work.toSorted((left, right) => urgency(left) - urgency(right)) };
}

/**
 * A list's own counter may stand still while one device leaves it and another comes: the server guards no transition.
 * Others move then; so all lists are read now and then while anything moves, and once more when the deployment has ended.
 * What stays unseen: two devices of a deployment that has ended exchange how they ended, between two looks.
 */
function isFullDue(
  mark: Mark,
  deployment: PlannedDeployment,
  { all, nowMs }: { readonly all: string; readonly nowMs: number },
): boolean {
  if (Object.values(mark.lanes).some((lane) => isResting(lane, nowMs))) return false;
  const sinceMs = Math.abs(nowMs - mark.fullMs);
  if (deployment.isFinished) return mark.full !== `${all}${FINISHED}`;
  return (mark.full !== all && sinceMs >= MENDER_FULL_READ_MS) || sinceMs >= MENDER_STILL_READ_MS;
}

function isResting(mark: z.infer<typeof laneMarkSchema> | undefined, nowMs: number): boolean {
  if (mark === undefined) return false;
  const restMs = Math.min(mark.rows * MENDER_REST_MS_PER_ROW, MENDER_REST_MS_MAX);
  return Math.abs(nowMs - mark.endMs) < restMs;
}

function statusesOf(lane: Lane): readonly string[] {
  return lane === "active" ? MENDER_ACTIVE_STATUSES : MENDER_ENDED_STATUSES.filter((each) => each === lane);
}

function textOf(counters: Readonly<Record<string, number>>): string {
  return Object.keys(counters)
    .filter((status) => counters[status] !== 0)
    .toSorted()
    .map((status) => `${status}=${counters[status]}`)
    .join();
}

/** After a page of the first list has been read, and kept. */
export function afterPage(
  plan: Plan,
  { rows, isLast }: { readonly rows: number; readonly isLast: boolean },
  nowMs: number,
): Plan {
  const [work, ...others] = plan.work;
  if (work === undefined) return plan;
  const read = work.rows + rows;
  if (!isLast) return { ...plan, work: [{ ...work, page: work.page + 1, rows: read }, ...others] };
  const [, ...statuses] = work.statuses;
  if (statuses.length > 0) return { ...plan, work: [{ ...work, statuses, page: 1, rows: read }, ...others] };
  const mark = plan.marks[work.mark];
  if (mark === undefined) return { ...plan, work: others };
  const lanes = { ...mark.lanes, [work.lane]: { seen: work.seen, endMs: nowMs, rows: read } };
  return { ...plan, marks: { ...plan.marks, [work.mark]: { ...mark, lanes } }, work: others };
}
