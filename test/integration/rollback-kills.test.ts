// At most one rollback, whatever dies: two real agents on one Redis that fsyncs every write, both killed with SIGKILL at
// each step between the report and the outcome, with an OTA server that answers late, loses its answer after acting,
// answers 500 nine times, says 409, or comes back with another version. Afterwards two new agents go on: the server
// must have acted once, and the journal must tell it so.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { ChildProcess } from "node:child_process";
import { tmpdir } from "node:os";
import path from "node:path";
import { Redis } from "ioredis";
import type { RequestHandler } from "express";
import { describe, expect, it } from "vitest";
import { checkChain } from "../../agent/journal/journal-entry.ts";
import { createJournal } from "../../agent/journal/journal.ts";
import { createDecisionStore } from "../../agent/rollback/decision-store.ts";
import type { DecisionRecord } from "../../agent/rollback/decision-record.ts";
import { OTA_SECRET, createTestFleet, startOtaServer, AGENT_TEST_SHARDS } from "../support/agent.ts";
import { startAgentProcess } from "../support/crash-stage.ts";
import type { AgentProcess } from "../support/crash-stage.ts";
import { startTestRedis } from "../support/redis.ts";
import { TILL, version } from "../support/verdicts.ts";
import { waitUntil } from "../support/wait-until.ts";
import type { FaultInput } from "../simulation/ota-server-faults.ts";

/** Where the agents die: with the n-th reading of the channel by Lastgood, with the request to act, after the act, or after the outcome. */
type Step = { readonly at: "read"; readonly nth: number } | { readonly at: "asked" | "acted" | "outcome" };

interface Scenario {
  readonly name: string;
  readonly step: Step;
  readonly faults?: readonly FaultInput[];
  /** How often the server may have acted; 1 unless told. */
  readonly acts?: number;
  readonly outcomes: readonly string[];
  readonly offered?: string;
}

const done = ["applied", "already_applied"] as const;
const SCENARIOS: readonly Scenario[] = [
  { name: "before anything is decided", step: { at: "read", nth: 1 }, outcomes: done },
  { name: "decided, before the server is asked", step: { at: "read", nth: 2 }, outcomes: done },
  { name: "asked, before the server acts", step: { at: "asked" }, outcomes: done },
  {
    name: "acted, before the server answers",
    step: { at: "acted" },
    faults: [{ kind: "late", ms: 3_000 }],
    outcomes: done,
  },
  { name: "answered, before it is read back", step: { at: "read", nth: 3 }, outcomes: done },
  { name: "after the outcome", step: { at: "outcome" }, outcomes: done },
  {
    name: "acted, and the answer is lost",
    step: { at: "acted" },
    faults: [{ kind: "lost_answer" }],
    outcomes: done,
  },
  {
    name: "in the middle of nine errors",
    step: { at: "asked" },
    faults: [{ kind: "error", status: 500, times: 9 }],
    outcomes: done,
  },
  {
    name: "told 409 while nothing has moved",
    step: { at: "asked" },
    faults: [{ kind: "error", status: 409, times: 2 }],
    outcomes: done,
  },
  {
    name: "acted, on another version than was asked for",
    step: { at: "acted" },
    faults: [{ kind: "another_version", version: version("1.2.0") }],
    outcomes: ["failed"],
    offered: "1.2.0",
  },
];

describe.concurrent("two agents killed", () => {
  it.each(SCENARIOS.map((scenario) => [scenario.name, scenario] as const))(
    "%s",
    async (_name, scenario) => {
      const stage = await openStage(scenario);
      try {
        await stage.killAtStep();
        const decision = await stage.untilEnded();
        expect(scenario.outcomes).toContain(decision.outcome?.kind);
        const entries = await stage.journal.read({ afterSeq: 0, limit: 1_000 });
        expect(checkChain(entries).kind).toBe("intact");
        const kinds = entries
          .map(({ kind }) => kind)
          .filter((kind) => kind === "decision" || kind === "outcome");
        expect(kinds).toEqual(["decision", "outcome"]);
        expect(stage.acts()).toBe(scenario.acts ?? 1);
        expect(stage.offered()).toBe(scenario.offered ?? "1.3.0");
      } finally {
        await stage.close();
      }
    },
    120_000,
  );
});

async function openStage({ step, faults = [] }: Scenario) {
  const folder = mkdtempSync(path.join(tmpdir(), "lg-kills-"));
  const server = await startTestRedis();
  const redis = new Redis({ ...server.options, replyMapping: "legacy" });
  await redis.config("SET", "appendfsync", "always");
  const running = new Set<ChildProcess>();
  let agents: AgentProcess[] = [];
  let onStep: () => void = () => {};
  const reached = new Promise<void>((resolve) => (onStep = resolve));
  let reads = 0;
  let asked = 0;
  /** What the agents ask when they start is not meant. */
  let isArmed = false;
  /** What is asked while the agents die is not answered any more: their connections are gone. */
  const watch: RequestHandler = (request, _response, next) => {
    const isLastgood = request.get("Lastgood-Signature") !== undefined;
    if (isArmed && isLastgood && request.method === "GET" && step.at === "read" && (reads += 1) === step.nth)
      onStep();
    const isAsked = request.method === "POST" && request.path.endsWith("/rollback");
    asked += isAsked ? 1 : 0;
    if (!isAsked || step.at !== "asked" || asked > 1) return next();
    onStep();
    // Time for the kill, before the server acts.
    setTimeout(next, 200);
  };
  const ota = await startOtaServer({ before: () => watch });
  for (const [index, text] of ["1.2.0", "1.3.0", "1.4.0"].entries())
    ota.publish({ ...TILL, version: version(text), releasedAtMs: Date.now() - (4 - index) * 86_400_000 });
  ota.setFaults([...faults]);
  const config = path.join(folder, "lastgood.yaml");
  writeFileSync(config, configText(folder, ota.url));
  const decisions = createDecisionStore({ redis, journal: createJournal({ redis }) });
  const fleet = await createTestFleet(server.url);
  const acts = (): number => ota.calls().filter(({ acted }) => acted).length;
  const start = async (): Promise<void> => {
    agents = [1, 2].map(() => startAgentProcess({ config, redisUrl: server.url, running }));
    await Promise.all(agents.map(({ url }) => url));
  };
  const isStepReached = async (): Promise<boolean> => {
    if (step.at === "acted") return acts() > 0;
    return (await decisions.list()).some(({ outcome }) => outcome !== null);
  };
  await start();
  return {
    journal: createJournal({ redis }),
    acts,
    offered: () => ota.readChannel(TILL)!.version,
    async killAtStep() {
      isArmed = true;
      await fleet.report({
        app: TILL.app,
        version: "1.4.0",
        devices: [1, 40],
        events: ["installed", "reverted"],
      });
      if (step.at === "acted" || step.at === "outcome")
        await waitUntil(isStepReached, (isReached) => isReached, 20_000);
      else await reached;
      await Promise.all(agents.map((agent) => agent.kill()));
      await start();
    },
    async untilEnded(): Promise<DecisionRecord> {
      const all = await waitUntil(
        () => decisions.list(),
        (some) => some.length > 0 && some.every(({ outcome }) => outcome !== null),
        60_000,
      );
      expect(all.length).toBe(1);
      return all[0]!;
    },
    async close() {
      for (const child of running) child.kill("SIGKILL");
      fleet.close();
      redis.disconnect();
      await ota.close();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function configText(folder: string, otaUrl: string): string {
  return `
data_dir: ${folder}
shards: ${AGENT_TEST_SHARDS}
log_level: silent
agent: { listen: "127.0.0.1:0" }
apps:
  ${TILL.app}:
    ingest_keys: [example-ingest-key]
    ota_server: { type: http, url: "${otaUrl}", secret: "${OTA_SECRET}", timeout: 2s }
    channels: { ${TILL.channel}: { policy: standard } }
policies:
  standard:
    rules: [{ signal: update_failure, limit: 5% }]
`;
}
