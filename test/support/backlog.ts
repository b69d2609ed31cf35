// A backlog for tests: devices that each tell the same events, one report an entry, sent until they are
// taken; and a look at a shard's stream and cursor in one instant.
import type { Redis } from "ioredis";
import { metaKey } from "../../agent/health/shard-keys.ts";
import type { DeviceEvent, DeviceReport } from "../../ingest/contract/device-report.ts";
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import { reportStream } from "../../ingest/contract/stream-names.ts";
import type { WriteOutcome } from "../../ingest/stream-writer.ts";
import { sleep } from "../../runtime/clock.ts";

/** How long a refused sender waits, in milliseconds. */
const RETRY_MS = 20;

export interface BacklogOptions {
  readonly release: ReleaseKey;
  readonly devices: number;
  /** Each device tells all of them, one after the other. */
  readonly events: readonly DeviceEvent[];
  /** Senders at the same time. */
  readonly senders: number;
  readonly write: (reports: readonly DeviceReport[]) => Promise<WriteOutcome["kind"]>;
}

export interface BacklogSent {
  readonly acknowledged: number;
  /** Times that a sender was told to come back later. */
  readonly refused: number;
}

/** Sends every report until it is acknowledged. */
export async function sendBacklog(
  { release, devices, events, senders, write }: BacklogOptions,
  onProgress: (sent: BacklogSent) => void = () => {},
): Promise<BacklogSent> {
  const sent = { acknowledged: 0, refused: 0 };
  let next = 0;
  const total = devices * events.length;
  const send = async (): Promise<void> => {
    while (next < total) {
      const index = next;
      next += 1;
      const device = `device-${index % devices}`;
      const report: DeviceReport = { ...release, device, event: events[Math.floor(index / devices)]! };
      while ((await write([report])) !== "written") {
        sent.refused += 1;
        await sleep(RETRY_MS);
      }
      sent.acknowledged += 1;
      onProgress(sent);
    }
  };
  await Promise.all(Array.from({ length: senders }, send));
  return sent;
}

/** Stands after every id. */
const NO_ENTRY = "Infinity-0";

export interface StreamLook {
  readonly cursor: string;
  /** {@link NO_ENTRY} when the stream is empty. */
  readonly firstId: string;
  readonly entries: number;
}

/** Cursor and stream of a shard in one instant. */
export async function lookAtStream(redis: Redis, shard: number): Promise<StreamLook> {
  const answers = await redis
    .multi()
    .hget(metaKey(shard), "cursor")
    .xrange(reportStream(shard), "-", "+", "COUNT", 1)
    .xlen(reportStream(shard))
    .exec();
  const [cursor, rows, entries] = answers!.map(([, answer]) => answer) as [
    string | null,
    [string, string[]][],
    number,
  ];
  return { cursor: cursor ?? "0-0", firstId: rows[0]?.[0] ?? NO_ENTRY, entries };
}

/** Negative when the stream id `left` is the smaller one. */
export function compareStreamIds(left: string, right: string): number {
  const [leftMs, leftSequence] = left.split("-").map(Number) as [number, number];
  const [rightMs, rightSequence] = right.split("-").map(Number) as [number, number];
  return leftMs - rightMs || leftSequence - rightSequence;
}
