// A hawkBit double behind a real port, with ten targets of a channel and three sets that were rolled out to them, one after
// the other; and the adapter for it. For tests. Leaves: handles and a stop.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { OtaServer } from "../../agent/rollback/ota-server.ts";
import { createHawkbitOtaServer } from "../../agent/rollback/servers/hawkbit.ts";
import type { HawkbitOtaServerOptions } from "../../agent/rollback/servers/hawkbit.ts";
import { appIdSchema, channelSchema } from "../../ingest/contract/release-key.ts";
import type { ChannelKey } from "../../ingest/contract/release-key.ts";
import { systemClock } from "../../runtime/clock.ts";
import { createHawkbitDouble } from "../doubles/hawkbit.ts";
import type { HawkbitDouble, HawkbitDoubleOptions } from "../doubles/hawkbit.ts";
import type { RolloutRow, TargetRow } from "../doubles/hawkbit-state.ts";

export const HAWKBIT_TIMEOUT_MS = 300;
export const HAWKBIT_FILTER = "tag==production";
export const HAWKBIT_SET = "till-firmware";
export const HAWKBIT_KEY: ChannelKey = {
  app: appIdSchema.parse("com.acme.till"),
  channel: channelSchema.parse("production"),
};

export interface TestHawkbit extends HawkbitDouble {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

/** Each look at the clock is a millisecond later, so that no two changes have the same time unless a test wants it. */
export async function startHawkbit(options: Partial<HawkbitDoubleOptions> = {}): Promise<TestHawkbit> {
  let nowMs = systemClock() - 3_600_000;
  const double = createHawkbitDouble({
    username: "admin",
    password: "example-password",
    clock: () => (nowMs += 1),
    ...options,
  });
  const server = createServer(double.express);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  let stopped: Promise<void> | undefined;
  return {
    ...double,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () =>
      (stopped ??= new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      })),
  };
}

export function hawkbitServer(
  { url }: Pick<TestHawkbit, "url">,
  options: Partial<HawkbitOtaServerOptions> = {},
): OtaServer {
  return createHawkbitOtaServer({
    url,
    username: "admin",
    password: "example-password",
    distributionSet: HAWKBIT_SET,
    targets: new Map([[HAWKBIT_KEY.channel, HAWKBIT_FILTER]]),
    invalidate: false,
    timeoutMs: HAWKBIT_TIMEOUT_MS,
    clock: systemClock,
    ...options,
  });
}

export function addTargets({ state }: HawkbitDouble, count: number, tag = "production"): TargetRow[] {
  return Array.from({ length: count }, (_, index) => state.addTarget(`${tag}-${index}`, [tag]));
}

/** A rollout of the set to these targets, begun. */
export function rollOut(
  { state }: HawkbitDouble,
  version: string,
  targets: readonly TargetRow[],
  more: { groups?: number; errorPercent?: number; filter?: string } = {},
): RolloutRow {
  const { filter = HAWKBIT_FILTER, ...rest } = more;
  const set = state.sets.find((each) => each.version === version) ?? state.addSet(HAWKBIT_SET, version);
  const rollout = state.addRollout({ set, filter, targets, ...rest });
  state.tick();
  rollout.status = "starting";
  state.tick();
  return rollout;
}

/** Every open action of the targets ends well: what is being cancelled is, and the rest is installed. */
export function finishAll({ state }: HawkbitDouble): void {
  for (const action of state.actions)
    if (action.active)
      state.feedback(action, {
        execution: "closed",
        finished: "success",
        isOfCancel: action.status === "canceling",
      });
  state.tick();
}

export async function startHawkbitWithHistory({
  groups = 2,
  ...options
}: Partial<HawkbitDoubleOptions> & { groups?: number } = {}): Promise<{
  readonly hawkbit: TestHawkbit;
  readonly targets: readonly TargetRow[];
  readonly rollout: RolloutRow;
}> {
  const hawkbit = await startHawkbit(options);
  const targets = addTargets(hawkbit, 10);
  for (const version of ["1.2.0", "1.3.0"]) {
    rollOut(hawkbit, version, targets);
    finishAll(hawkbit);
  }
  return { hawkbit, targets, rollout: rollOut(hawkbit, "1.4.0", targets, { groups }) };
}
