// The rollback job around the executor: how long it waits, and what it never does.
import { describe, expect, it } from "vitest";
import { RETRY_MS_MAX, RETRY_MS_MIN, executeDecision } from "../../../../agent/jobs/execute-rollback.ts";
import type { ExecuteDeps } from "../../../../agent/jobs/execute-rollback.ts";
import type { DecisionRecord } from "../../../../agent/rollback/decision-record.ts";
import type { OtaServer } from "../../../../agent/rollback/ota-server.ts";
import { createLogger } from "../../../../runtime/logger.ts";
import { releaseOf, version } from "../../../support/verdicts.ts";

const decision = {
  id: "rb_1",
  ...releaseOf("1.4.0"),
  target: version("1.3.0"),
  sentence: "bad",
} as DecisionRecord;

function depsFor(server: Pick<OtaServer, "readChannel"> | undefined, isPending = true): ExecuteDeps {
  return {
    decisions: {
      read: (id: string) => Promise.resolve(id === decision.id ? decision : undefined),
      isPending: () => Promise.resolve(isPending),
      recordOutcome: () => Promise.reject(new Error("no outcome is expected")),
    } as unknown as ExecuteDeps["decisions"],
    summaries: {} as ExecuteDeps["summaries"],
    serverOf: () => server as OtaServer | undefined,
    clock: () => 0,
    logger: createLogger({ name: "test", level: "silent" }),
  };
}

const away = (retryAfterMs?: number): Pick<OtaServer, "readChannel"> => ({
  readChannel: () =>
    Promise.resolve({
      kind: "unavailable",
      detail: "away",
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    }),
});

describe("pauses while the OTA server is away", () => {
  it("double from RETRY_MS_MIN up to RETRY_MS_MAX, and stay there for ever", async () => {
    const pauses = await Promise.all(
      [0, 1, 2, 3, 4, 5, 6, 1_000_000].map(async (tries) => executeDecision("rb_1", tries, depsFor(away()))),
    );
    expect([RETRY_MS_MIN, RETRY_MS_MAX]).toEqual([500, 15_000]);
    expect(pauses.map((pause) => (pause.kind === "try_again" ? pause.afterMs : pause.kind))).toEqual([
      500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000,
    ]);
  });

  it("follow the server's wish when it is longer, within RETRY_MS_MAX", async () => {
    const pauseOf = (wishMs: number) => executeDecision("rb_1", 0, depsFor(away(wishMs)));
    expect(await pauseOf(3_000)).toEqual({ kind: "try_again", afterMs: 3_000 });
    expect(await pauseOf(1)).toEqual({ kind: "try_again", afterMs: 500 });
    expect(await pauseOf(600_000)).toEqual({ kind: "try_again", afterMs: 15_000 });
  });
});

describe("what is not carried out", () => {
  it("an unknown decision, and one that has left the outbox: the server is not even asked", async () => {
    const server = { readChannel: () => Promise.reject(new Error("must not be asked")) };
    expect(await executeDecision("rb_2", 0, depsFor(server))).toEqual({ kind: "ended" });
    expect(await executeDecision("rb_1", 0, depsFor(server, false))).toEqual({ kind: "ended" });
  });

  it("one whose server is not configured any more waits; it is never dropped", async () => {
    expect(await executeDecision("rb_1", 0, depsFor(undefined))).toEqual({ kind: "try_again", afterMs: 500 });
  });
});
