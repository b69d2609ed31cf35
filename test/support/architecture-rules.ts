// The rules of the architecture: who may import whom, and what pure code may not touch. Each rule says why
// it is there, how many files it must at least see (a check that reads nothing must not pass), and holds
// samples that it must catch and samples that it must let through (a check that cannot fail is none).
import type { SourceFile } from "./source-files.ts";

export interface Rule {
  readonly name: string;
  /** Printed with every violation: what would go wrong without the rule. */
  readonly reason: string;
  readonly appliesTo: (path: string) => boolean;
  /** Files of this repository that it must look at, at least. */
  readonly filesAtLeast: number;
  /** What is wrong with the file, each in a few words; empty = nothing. */
  readonly find: (file: SourceFile) => readonly string[];
  readonly bad: readonly Sample[];
  readonly good: readonly Sample[];
}

export type Sample = readonly [path: string, text: string];

const isIn =
  (...folders: readonly string[]) =>
  (path: string): boolean =>
    folders.some((folder) => path === folder || path.startsWith(`${folder}/`));
const isCode = (path: string): boolean => !path.endsWith(".lua");
const importsThat =
  (isBad: (imported: string, from: string) => boolean) =>
  (file: SourceFile): string[] =>
    file.imports.filter((imported) => isBad(imported, file.path)).map((imported) => `imports ${imported}`);

const PURE_FOLDERS = ["agent/judge", "agent/policy", "ingest/contract"];
const PURE_FILES = [
  "agent/health/answer-bins.ts",
  "agent/health/count-vector.ts",
  "agent/health/counting-rules.ts",
  "agent/health/device-record.ts",
  "agent/health/device-state.ts",
  "agent/health/device-table.ts",
  "agent/health/examples.ts",
  "agent/health/first-contacts.ts",
  "agent/health/fold.ts",
  "agent/health/fold-plan.ts",
  "agent/health/health-window.ts",
  "agent/health/hour-set.ts",
  "agent/health/native-builds.ts",
  "agent/health/open-device.ts",
  "agent/health/outcomes.ts",
  "agent/health/packed-bytes.ts",
  "agent/health/packed-hours.ts",
  "agent/health/release-delta.ts",
  "agent/health/release-history.ts",
  "agent/health/settled-counts.ts",
  "agent/health/shard-tables.ts",
  "agent/health/stratum.ts",
  "agent/health/visit.ts",
  "agent/health/windows.ts",
  "agent/paging/annotation.ts",
  "agent/paging/config-page.ts",
  "agent/paging/daily-summary.ts",
  "agent/paging/decision-pages.ts",
  "agent/paging/forged-pages.ts",
  "agent/paging/hold-pages.ts",
  "agent/paging/page.ts",
  "agent/paging/page-snapshot.ts",
  "agent/paging/plan-posts.ts",
  "agent/paging/poll-pages.ts",
  "agent/paging/standing-pages.ts",
  "agent/paging/suspect-pages.ts",
  "agent/replay/channel-at.ts",
  "agent/replay/channel-facts.ts",
  "agent/replay/cut-history.ts",
  "agent/replay/cut-window.ts",
  "agent/replay/replay-answer.ts",
  "agent/replay/replay-channel.ts",
  "agent/replay/replay-steps.ts",
  "runtime/units.ts",
  "runtime/closest-name.ts",
];
export const isPure = (path: string): boolean => isIn(...PURE_FOLDERS)(path) || PURE_FILES.includes(path);
const PURE_PACKAGES = ["zod", "semver"];
const PURE_EXCEPTIONS: Readonly<Record<string, readonly string[]>> = {
  "ingest/contract/shard.ts": ["node:crypto"], // a hash is a function of its arguments
  "ingest/contract/device-signature.ts": ["node:crypto"], // so is a keyed hash
  "agent/policy/freeze-window.ts": ["node-cron"], // whether a minute matches follows from the minute
};
const PURE_GLOBALS = ["Date.parse", "Date.UTC", "new Date(…)"];
const PURE_WHY =
  "judging, deciding, folding and the contract are functions of their arguments, so that a replay of stored counts is the same code; hand in the clock, randomness and I/O";

export const RULES: readonly Rule[] = [
  {
    name: "ingest-never-imports-agent",
    reason:
      "the edge that devices reach must run, be read and be deployed without knowing what is done with reports",
    appliesTo: isIn("ingest"),
    filesAtLeast: 15,
    find: importsThat((imported) => !isIn("ingest", "runtime")(imported) && isRelative(imported)),
    bad: [
      ["ingest/app.ts", 'import { judge } from "../agent/judge/judge.ts";'],
      ["ingest/routes/reports.ts", 'export * from "../../agent/health/fold.ts";'],
      ["ingest/main.ts", 'const agent = await import("../agent/agent.ts");'],
    ],
    good: [["ingest/app.ts", 'import { Problem } from "../runtime/problem.ts";']],
  },
  {
    name: "agent-knows-only-the-contract-of-ingest",
    reason:
      "the contract is the one thing both sides promise; anything else of ingest may change without the agent noticing",
    appliesTo: isIn("agent"),
    filesAtLeast: 50,
    find: importsThat(
      (imported, from) =>
        isRelative(imported) &&
        !isIn("agent", "runtime", "ingest/contract")(imported) &&
        // What the agent reads from an OTA server goes into the streams the one way that there is.
        !(from === "agent/jobs/poll.ts" && imported === "ingest/stream-writer.ts"),
    ),
    bad: [
      ["agent/agent.ts", 'import { createStreamWriter } from "../ingest/stream-writer.ts";'],
      ["agent/cli/start.ts", 'import type { X } from "../../ingest/metrics.ts";'],
    ],
    good: [
      ["agent/health/fold.ts", 'import { EVENTS } from "../../ingest/contract/device-report.ts";'],
      ["agent/jobs/poll.ts", 'import { createStreamWriter } from "../../ingest/stream-writer.ts";'],
    ],
  },
  {
    name: "runtime-imports-no-room",
    reason:
      "runtime is the shell of any process; the day it knows about updates both services depend on each other through it",
    appliesTo: isIn("runtime"),
    filesAtLeast: 18,
    find: importsThat((imported) => isRelative(imported) && !isIn("runtime")(imported)),
    bad: [["runtime/redis.ts", 'import { reportStream } from "../ingest/contract/stream-names.ts";']],
    good: [["runtime/redis.ts", 'import type { Logger } from "./logger.ts";']],
  },
  {
    name: "dashboards-and-alerting-know-only-metric-names",
    reason:
      "a renamed metric must fail to compile there, and nothing else of the program may leak into what Grafana and Prometheus load",
    appliesTo: isIn("dashboards", "alerting"),
    filesAtLeast: 20,
    find: importsThat(
      (imported, from) =>
        isRelative(imported) && !isIn(from.split("/")[0]!, "ingest/contract/metric-names.ts")(imported),
    ),
    bad: [["dashboards/queries.ts", 'import { judge } from "../agent/judge/judge.ts";']],
    good: [["dashboards/queries.ts", 'import { METRICS } from "../ingest/contract/metric-names.ts";']],
  },
  {
    name: "nothing-imports-tests",
    reason: "what the product needs is not a test, and what a test needs must not ship",
    appliesTo: (path) => !isIn("test")(path),
    filesAtLeast: 80,
    find: importsThat(isIn("test")),
    bad: [["agent/agent.ts", 'import { startTestRedis } from "../test/support/redis.ts";']],
    good: [["agent/agent.ts", 'import { judge } from "./judge/judge.ts";']],
  },
  {
    name: "pure-code-imports-pure-code",
    reason: PURE_WHY,
    appliesTo: isPure,
    filesAtLeast: 40,
    find: importsThat((imported, from) => {
      if (isRelative(imported)) return !isPure(imported);
      return !PURE_PACKAGES.includes(imported) && !(PURE_EXCEPTIONS[from] ?? []).includes(imported);
    }),
    bad: [
      ["agent/judge/judge.ts", 'import { readFileSync } from "node:fs";'],
      ["agent/judge/judge.ts", 'import { Redis } from "ioredis";'],
      ["agent/policy/decide.ts", 'import { Queue } from "bullmq";'],
      ["agent/policy/policy.ts", 'import express from "express";'],
      ["agent/health/fold.ts", 'import { Counter } from "prom-client";'],
      ["ingest/contract/report-entry.ts", 'import { pino } from "pino";'],
      ["ingest/contract/release-key.ts", 'import { createHash } from "node:crypto";'],
      ["agent/health/fold.ts", 'import { createHealthStore } from "./health-store.ts";'],
      ["agent/judge/limit.ts", 'import { systemClock } from "../../runtime/clock.ts";'],
    ],
    good: [
      ["ingest/contract/shard.ts", 'import { createHash } from "node:crypto";'],
      [
        "agent/policy/policy.ts",
        'import { duration } from "../../runtime/units.ts"; import { z } from "zod";',
      ],
    ],
  },
  {
    name: "pure-code-touches-nothing-outside",
    reason: PURE_WHY,
    appliesTo: isPure,
    filesAtLeast: 40,
    find: ({ globals }) =>
      globals
        .filter((use) => !PURE_GLOBALS.includes(use) && (!use.startsWith("Math.") || use === "Math.random"))
        .map((use) => `uses ${use}`),
    bad: [
      ["agent/judge/judge.ts", "export const at = Date.now();"],
      ["agent/judge/judge.ts", 'export const at = Date["now"]();'],
      ["agent/judge/judge.ts", "const { now } = Date;"],
      ["agent/judge/judge.ts", "export const clock = { date: Date };"],
      ["agent/policy/decide.ts", "export const at = new Date();"],
      ["agent/health/fold.ts", "export const id = Math.random();"],
      ["agent/health/fold.ts", "const { random } = Math;"],
      ["agent/health/outcomes.ts", "export const env = process.env;"],
      ["ingest/contract/shard.ts", 'export const answer = fetch("http://127.0.0.1");'],
      ["ingest/contract/shard.ts", "export const now = globalThis.Date.now();"],
      ["ingest/contract/shard.ts", "export const id = crypto.randomUUID();"],
      ["agent/judge/limit.ts", "setTimeout(() => {}, 1);"],
    ],
    good: [
      ["agent/judge/limit.ts", "export const x = Math.log(2) + Date.parse('2026-01-01T00:00:00Z');"],
      ["agent/policy/decide.ts", "export const at = (ms: number): string => new Date(ms).toISOString();"],
      [
        "agent/policy/decide.ts",
        "export const row = { process: 1, fetch: 2 }; export const p = row.process;",
      ],
      ["agent/health/fold.ts", "export const bytes = Buffer.alloc(4);"],
    ],
  },
  {
    name: "judge-does-not-know-policy",
    reason: "a verdict is what the evidence allows to say, whatever anybody would like to do about it",
    appliesTo: isIn("agent/judge"),
    filesAtLeast: 5,
    find: importsThat(isIn("agent/policy", "agent/rollback", "agent/jobs")),
    bad: [["agent/judge/judge.ts", 'import type { Policy } from "../policy/policy.ts";']],
    good: [["agent/judge/judge.ts", 'import type { OutcomeCounts } from "../health/outcomes.ts";']],
  },
  {
    name: "health-does-not-know-judgement",
    reason: "counts are kept the same way for every policy and every test that is ever run on them",
    appliesTo: isIn("agent/health"),
    filesAtLeast: 6,
    find: importsThat(isIn("agent/judge", "agent/policy", "agent/rollback", "agent/jobs", "agent/journal")),
    bad: [["agent/health/health-store.ts", 'import { judge } from "../judge/judge.ts";']],
    good: [["agent/health/health-store.ts", 'import { OUTCOMES } from "./outcomes.ts";']],
  },
  {
    name: "policy-does-not-know-rollback",
    reason:
      "deciding first and acting later: a decision is a value that can be shown, stored and replayed without a server",
    appliesTo: isIn("agent/policy"),
    filesAtLeast: 8,
    find: importsThat(isIn("agent/rollback", "agent/jobs")),
    bad: [["agent/policy/situation.ts", 'import type { OtaServer } from "../rollback/ota-server.ts";']],
    good: [["agent/policy/situation.ts", 'import type { Verdict } from "../judge/verdict.ts";']],
  },
  {
    name: "paging-stands-beside-the-pipeline",
    reason:
      "what people are told follows from what stands in Redis; nothing that judges, decides or acts waits for it or knows of it",
    appliesTo: isIn("agent/paging", "agent/health", "agent/judge", "agent/policy", "agent/rollback"),
    filesAtLeast: 60,
    find: importsThat((imported, from) =>
      isIn("agent/paging")(from)
        ? isIn("agent/jobs", "agent/admin", "agent/rollback")(imported)
        : isIn("agent/paging")(imported),
    ),
    bad: [
      ["agent/paging/grafana.ts", 'import type { Queues } from "../jobs/queues.ts";'],
      ["agent/rollback/execute.ts", 'import { makePage } from "../paging/page.ts";'],
    ],
    good: [["agent/paging/page-store.ts", 'import { PAGES } from "../journal/control-keys.ts";']],
  },
  {
    name: "replay-does-not-act",
    reason:
      "a replay tells what would have been done; it must not be able to do it, nor to change what it reads",
    appliesTo: isIn("agent/replay"),
    filesAtLeast: 8,
    find: importsThat(
      (imported) =>
        isIn("agent/jobs", "agent/admin", "agent/rollback/servers")(imported) ||
        imported === "agent/rollback/execute.ts",
    ),
    bad: [["agent/replay/replay.ts", 'import { evaluateChannel } from "../jobs/evaluate-channel.ts";']],
    good: [["agent/replay/replay.ts", 'import type { DecisionStore } from "../rollback/decision-store.ts";']],
  },
  {
    name: "ota-servers-stand-alone",
    reason:
      "a new make of server is one file, or a few that begin with its name; it must not break another's, and it must never decide",
    appliesTo: isIn("agent/rollback/servers"),
    filesAtLeast: 1,
    find: importsThat(
      (imported, from) =>
        isIn("agent/policy", "agent/judge")(imported) ||
        (isIn("agent/rollback/servers")(imported) && makeOf(imported) !== makeOf(from)),
    ),
    bad: [
      ["agent/rollback/servers/capgo.ts", 'import { createHttpOtaServer } from "./http.ts";'],
      ["agent/rollback/servers/capgo.ts", 'import { readPage } from "./mender-api.ts";'],
      ["agent/rollback/servers/http.ts", 'import type { Policy } from "../../policy/policy.ts";'],
    ],
    good: [
      ["agent/rollback/servers/http.ts", 'import type { OtaServer } from "../ota-server.ts";'],
      ["agent/rollback/servers/mender.ts", 'import { readPage } from "./mender-api.ts";'],
    ],
  },
  {
    name: "only-entries-know-the-process",
    reason:
      "everything else gets its settings as arguments, so that it can be started twice in one test and ended in order",
    appliesTo: (path) =>
      isCode(path) &&
      !isIn("test", "agent/cli")(path) &&
      !/^\w+\/main\.ts$/.test(path) &&
      path !== "runtime/setup.mjs",
    filesAtLeast: 70,
    find: ({ path, globals }) => {
      const forbidden = path === "runtime/lifecycle.ts" ? ["process.env"] : ["process.env", "process.exit"];
      return globals
        .flatMap((use) => use.split(", "))
        .filter((use) => forbidden.includes(use))
        .map((use) => `uses ${use}`);
    },
    bad: [
      ["agent/agent.ts", 'export const url = process.env["REDIS_URL"];'],
      ["ingest/app.ts", "process.exit(1);"],
      ["runtime/redis.ts", "const { env } = process;"],
      ["runtime/lifecycle.ts", "export const home = process.env.HOME;"],
    ],
    good: [
      ["runtime/lifecycle.ts", "process.exit(1);"],
      ["runtime/logger.ts", "export const base = { pid: process.pid };"],
    ],
  },
  {
    name: "only-named-exports",
    reason: "a thing has one name everywhere, and a search finds it",
    appliesTo: isCode,
    filesAtLeast: 100,
    find: ({ hasDefaultExport }) => (hasDefaultExport ? ["has a default export"] : []),
    bad: [
      ["agent/agent.ts", "export default function start() {}"],
      ["test/unit/x.ts", "const x = 1; export { x as default };"],
    ],
    good: [["agent/agent.ts", "export function start() {}"]],
  },
  {
    name: "no-nameless-places",
    reason: "a folder or file without a subject gathers everything that nobody wanted to name",
    appliesTo: () => true,
    filesAtLeast: 100,
    find: ({ path }) =>
      path
        .split("/")
        .map((part) => part.replace(/\.(test\.)?\w+$/, ""))
        .filter((part) => /^(utils?|helpers?|common|types|shared|misc|index)$/.test(part))
        .map((part) => `is called "${part}"`),
    bad: [
      ["agent/utils/time.ts", "export const x = 1;"],
      ["ingest/helpers.ts", "export const x = 1;"],
      ["runtime/index.ts", 'export * from "./redis.ts";'],
      ["test/shared/redis.ts", "export const x = 1;"],
    ],
    good: [["agent/health/health-window.ts", "export const x = 1;"]],
  },
  {
    name: "files-begin-with-what-they-are-for",
    reason: "whoever opens a file must learn in its first lines what it is for, what enters and what leaves",
    appliesTo: () => true,
    filesAtLeast: 100,
    find: ({ startsWithComment }) => (startsWithComment ? [] : ["does not begin with a comment"]),
    bad: [
      ["agent/agent.ts", 'import { x } from "./x.ts";'],
      ["agent/cli/lastgood.ts", '#!/usr/bin/env node\nimport { x } from "./x.ts";'],
      ["agent/health/lua/a.lua", "return 1"],
    ],
    good: [
      ["agent/cli/lastgood.ts", "#!/usr/bin/env node\n// The command line.\nexport const x = 1;"],
      ["agent/health/lua/a.lua", "--[[\n  Counts.\n]]\nreturn 1"],
    ],
  },
  {
    name: "files-stay-readable",
    reason: "a file longer than this holds two subjects; split it where they part (400 lines, tests 600)",
    appliesTo: () => true,
    filesAtLeast: 100,
    find: ({ path, lines }) => {
      const most = isIn("test")(path) ? 600 : 400;
      return lines > most ? [`has ${lines} lines, ${lines - most} too many`] : [];
    },
    bad: [
      ["agent/agent.ts", "// A line.\n".repeat(401)],
      ["test/unit/x.test.ts", "// A line.\n".repeat(601)],
    ],
    good: [
      ["agent/agent.ts", "// A line.\n".repeat(400)],
      ["test/unit/x.test.ts", "// A line.\n".repeat(600)],
    ],
  },
];

/** `agent/rollback/servers/mender-api.ts` is of the make `mender`: one too long for a file is several. */
function makeOf(path: string): string {
  return path.split("/").at(-1)!.split(/[-.]/)[0]!;
}

function isRelative(imported: string): boolean {
  return isIn("agent", "ingest", "runtime", "dashboards", "alerting", "test")(imported);
}
