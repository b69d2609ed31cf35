// Alerts of the user's own rules that ask Lastgood for an act and fire now: kept until Alertmanager says that they are
// over, or has not repeated them for long, so that what a guard holds back is looked at again. Begin and end are in the
// journal, in one atomic step.
import { createHash } from "node:crypto";
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ChannelKey, ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { Redis } from "../../runtime/redis.ts";
import type { PolicyAction } from "../policy/decision.ts";
import { ALERT_REQUESTS } from "./control-keys.ts";
import type { Journal } from "./journal.ts";

export interface AlertRequest {
  readonly release: ReleaseKey;
  readonly alertname: string;
  readonly action: PolicyAction;
  /** The alert's own words. */
  readonly sentence: string;
  /** RFC 3339. */
  readonly since: string;
}

interface KeptRequest extends AlertRequest {
  /** When it was told last, epoch milliseconds. */
  readonly toldAtMs: number;
}

/** Alert requests at once: a storm of alerts must not fill Redis. */
export const ALERT_REQUESTS_MAX = 1_000;
/** An alert that nobody repeats for so long is over, though nobody said so; in milliseconds. */
export const ALERT_TOLD_MS_MAX = 7 * 24 * 3_600_000;

export interface AlertStore {
  /** `full`: there are ALERT_REQUESTS_MAX already. */
  fire(request: AlertRequest): Promise<"began" | "goes_on" | "full">;
  resolve(alert: Pick<AlertRequest, "release" | "alertname" | "action">): Promise<"ended" | "unknown">;
  listOn(key: ChannelKey): Promise<AlertRequest[]>;
  /** Whether any alert asks for something about the release. */
  isFiring(release: ReleaseKey): Promise<boolean>;
}

export function createAlertStore({
  redis,
  journal,
  clock = Date.now,
}: {
  redis: Redis;
  journal: Journal;
  clock?: Clock;
}): AlertStore {
  const listFiring = async (): Promise<KeptRequest[]> => {
    const all = Object.entries(await redis.hgetall(ALERT_REQUESTS)).map(
      ([field, row]) => [field, JSON.parse(row) as KeptRequest] as const,
    );
    const isOver = ({ toldAtMs }: KeptRequest): boolean => clock() - toldAtMs > ALERT_TOLD_MS_MAX;
    const over = all.filter(([, request]) => isOver(request)).map(([field]) => field);
    if (over.length > 0) await redis.hdel(ALERT_REQUESTS, ...over);
    return all.flatMap(([, request]) => (isOver(request) ? [] : [request]));
  };
  return {
    async fire(request) {
      const field = fieldOf(request);
      const row = await redis.hget(ALERT_REQUESTS, field);
      const known = row === null ? undefined : (JSON.parse(row) as KeptRequest);
      const kept = { ...request, since: known?.since ?? request.since, toldAtMs: clock() };
      if (known !== undefined) {
        await redis.hset(ALERT_REQUESTS, field, JSON.stringify(kept));
        return "goes_on";
      }
      if ((await listFiring()).length >= ALERT_REQUESTS_MAX) return "full";
      const { release, ...said } = request;
      await journal.append(
        { kind: "alert", at: request.since, body: { ...release, ...said, stage: "firing" } },
        [{ op: "set", key: ALERT_REQUESTS, field, value: JSON.stringify(kept) }],
      );
      return "began";
    },
    async resolve({ release, alertname, action }) {
      const field = fieldOf({ release, alertname, action });
      const at = new Date(clock()).toISOString();
      const body = { ...release, alertname, action, stage: "resolved" };
      const result = await journal.append({ kind: "alert", at, body }, [
        { op: "present", key: ALERT_REQUESTS, field },
        { op: "delete", key: ALERT_REQUESTS, field },
      ]);
      return result === "appended" ? "ended" : "unknown";
    },
    listOn: async ({ app, channel }) =>
      (await listFiring()).filter(({ release }) => release.app === app && release.channel === channel),
    async isFiring(release) {
      const text = formatReleaseKey(release);
      return (await listFiring()).some((request) => formatReleaseKey(request.release) === text);
    },
  };
}

/** Two alerts about a release, or one that asks for two things, are two requests. */
function fieldOf({
  release,
  alertname,
  action,
}: Pick<AlertRequest, "release" | "alertname" | "action">): string {
  return createHash("sha256")
    .update(JSON.stringify([formatReleaseKey(release), alertname, action]))
    .digest("hex")
    .slice(0, 32);
}
