// What people and Prometheus see of counts: a fleet that reports through ingest's own writer, is folded into
// a real Redis, and is asked for over HTTP, at /metrics and from the command line, with every number as it
// must be. The agent's clock stands still, so that nothing falls silent in between.
import { Command } from "commander";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import type { CliContext } from "../../agent/cli/cli-context.ts";
import { registerDevice } from "../../agent/cli/device.ts";
import { registerHealth } from "../../agent/cli/health.ts";
import { registerStatus } from "../../agent/cli/status.ts";
import { DEFAULT_COUNTING_RULES } from "../../agent/health/counting-rules.ts";
import type { CountingRules } from "../../agent/health/counting-rules.ts";
import { OUTCOMES } from "../../agent/health/outcomes.ts";
import { createShardStore } from "../../agent/health/shard-store.ts";
import { foldShard } from "../../agent/jobs/fold-shard.ts";
import { SUMMARIES } from "../../agent/journal/control-keys.ts";
import type { DeviceEvent, DeviceReport } from "../../ingest/contract/device-report.ts";
import { LISTENING_GAP_MS_MAX, LISTENING_KEY } from "../../ingest/contract/listening.ts";
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import { createStreamWriter } from "../../ingest/stream-writer.ts";
import { createLogger } from "../../runtime/logger.ts";
import { AGENT_TEST_SHARDS, agentSettings } from "../support/agent.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { TILL, releaseOf, version } from "../support/verdicts.ts";
import { waitUntil } from "../support/wait-until.ts";

const NOW = Date.UTC(2026, 0, 31, 12, 0);
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Everything here is younger than what is rolled up. */
const TRIED_AT = NOW - HOUR_MS;
const RULES: CountingRules = { ...DEFAULT_COUNTING_RULES, silenceDeadlineMsOf: () => 20 * MINUTE_MS };
const VIEWER = "token-of-ana";
const RELEASE = `/v1/releases/${TILL.app}/${TILL.channel}/1.4.0`;
const T1 = { platform: "android", model: "T1", os_version: "14" };
/** A model as nobody should name one. */
const NO_HOURS = { active: 0, crashed: 0, not_responding: 0, first_crashed: 0, first_not_responding: 0 };
/** Of 1.4.0. */
const HOURS = { active: 11, crashed: 2, not_responding: 1, first_crashed: 2, first_not_responding: 1 };
const HOSTILE = { platform: "android", model: "\u009b31m\u202e\"'", os_version: "14" };

let server: TestRedis;
let redis: Redis;
let agent: RunningAgent;

beforeAll(async () => {
  server = await startTestRedis();
  redis = new Redis({ ...server.options, replyMapping: "legacy" });
  await report(TRIED_AT, [
    ...say([1, 20], "update_started", T1),
    ...say([21, 25], "installed", HOSTILE),
    ...say([26, 26], "confirmed"),
  ]);
  await report(TRIED_AT + 3 * MINUTE_MS, [
    ...say([1, 4], "install_failed", { ...T1, reason: "disk_full" }),
    ...say([5, 5], "install_failed", { ...T1, reason: "checksum_mismatch" }),
    ...say([6, 10], "confirmed", T1),
    ...say([21, 22], "crashed", HOSTILE),
    ...say([22, 22], "not_responding", HOSTILE),
    ...say([30, 30], "active", {}, "1.3.0"),
  ]);
  // 11 to 20 and 23 to 25 have said nothing for long enough now; then three of them come back.
  await fold(TRIED_AT + 30 * MINUTE_MS);
  await report(TRIED_AT + 40 * MINUTE_MS, say([11, 13], "confirmed", T1));
  await fold(TRIED_AT + 41 * MINUTE_MS);
  await redis.hset(LISTENING_KEY, { since: NOW - 2 * HOUR_MS, last: NOW });
  agent = await startAgent({
    settings: agentSettings(
      [{ name: TILL.app, otaUrl: "http://127.0.0.1:1", policy: { mode: "shadow" } }],
      [{ name: "ana", role: "viewer", token: VIEWER }],
    ),
    redisUrl: server.url,
    version: "1.2.3",
    logger: createLogger({ name: "test", level: "silent" }),
    clock: () => NOW,
  });
  await waitUntil(
    async () => (await read<Status>("/v1/status")).channels[0]!.releases,
    (releases) => releases.length === 2,
  );
  await writeOldSummary("1.0.0", {});
  await writeOldSummary("0.9.0", { hours: { active: 3, crashed: 1 } });
});

afterAll(async () => {
  await agent.stop(5_000);
  await redis.quit();
  await server.stop();
});

type Told = Partial<DeviceReport>;

function say([first, last]: [number, number], event: DeviceEvent, told: Told = {}, text = "1.4.0") {
  const devices = Array.from({ length: last - first + 1 }, (_, index) => `till/${first + index}`);
  return devices.map((device): DeviceReport => ({
    ...TILL,
    version: version(text),
    device,
    event,
    ...told,
  }));
}

async function report(receivedAtMs: number, reports: readonly DeviceReport[]): Promise<void> {
  const writer = createStreamWriter({
    redis,
    shards: AGENT_TEST_SHARDS,
    streamEntriesMax: 10_000,
    clock: () => receivedAtMs,
  });
  expect((await writer.write(reports)).kind).toBe("written");
}

async function fold(nowMs: number): Promise<void> {
  for (let shard = 0; shard < AGENT_TEST_SHARDS; shard += 1)
    await foldShard({
      store: createShardStore({ redis, shard }),
      rules: RULES,
      onChange: () => {},
      isStopping: () => false,
      nowMs: () => nowMs,
      heardFromMs: () => Promise.resolve(0),
    });
}

/** As a Lastgood wrote it that counted neither silence nor all hours; nobody has reported about it since. */
async function writeOldSummary(version: string, hours: object): Promise<void> {
  const release = releaseOf(version);
  const devices = Object.fromEntries(OUTCOMES.slice(0, 15).map((outcome) => [outcome, 7]));
  const verdict = {
    kind: "unmeasurable",
    reason: "no_rules",
    sentence: "It was.",
    release,
    devices,
    signals: [],
  };
  const summary = { verdict, ...hours, evaluatedAtMs: NOW, firstReportAtMs: NOW, lastReportAtMs: NOW };
  await redis.hset(SUMMARIES, formatReleaseKey(release), JSON.stringify(summary));
}

interface Status {
  readonly channels: readonly {
    readonly releases: readonly {
      readonly version: string;
      readonly devices: Readonly<Record<string, number>>;
      readonly hours: unknown;
    }[];
  }[];
}

function ask(path: string, token = VIEWER): Promise<Response> {
  return fetch(`${agent.url}${path}`, { headers: { authorization: `Bearer ${token}` } });
}

async function read<T = Record<string, unknown>>(path: string): Promise<T> {
  const response = await ask(path);
  expect([path, response.status]).toEqual([path, 200]);
  return (await response.json()) as T;
}

describe("GET /v1/releases", () => {
  it("shows totals, hours, kinds of device and reasons, to a viewer", async () => {
    const { windows, strata, ...rest } = await read<{ windows: unknown; strata: unknown }>(RELEASE);
    expect(windows).toBeInstanceOf(Array);
    expect(rest).toEqual({
      ...TILL,
      version: "1.4.0",
      first_seen: new Date(TRIED_AT).toISOString(),
      last_report: new Date(TRIED_AT + 40 * MINUTE_MS).toISOString(),
      // When the deadline of 11 to 20 and 23 to 25 had ended: 20 minutes after the minute in which they began.
      last_failure: new Date(TRIED_AT + 21 * MINUTE_MS).toISOString(),
      devices: {
        update_started: 20,
        download_failed: 0,
        installed: 5,
        install_failed: 5,
        confirmed: 9,
        reverted: 0,
        crashed: 2,
        not_responding: 1,
        active: 0,
        attempted: 26,
        failed: 5,
        recovered: 0,
        announced: 25,
        failed_unannounced: 0,
        download_failed_unannounced: 0,
        silent: 10,
        returned_late: 3,
        running: 11,
        failed_announced: 5,
        download_failed_announced: 0,
      },
      hours: HOURS,
      reasons: [
        { reason: "disk_full", devices: 4 },
        { reason: "checksum_mismatch", devices: 1 },
      ],
    });
    expect(strata).toMatchObject([
      { stratum: T1, devices: { attempted: 20, failed: 5, silent: 7 }, hours: { active: 8, crashed: 0 } },
      { stratum: HOSTILE, devices: { attempted: 5, silent: 3 }, hours: { active: 2, crashed: 2 } },
      { stratum: "unknown", devices: { attempted: 1, confirmed: 1 }, hours: { active: 1, crashed: 0 } },
    ]);
  });

  it("shows windows by stratum, added up, or not at all", async () => {
    const start = new Date(TRIED_AT).toISOString();
    const { windows } = await read<{ windows: unknown[] }>(`${RELEASE}?windows=all`);
    expect(windows).toHaveLength(3);
    expect(windows).toContainEqual({
      start,
      minutes: 1,
      stratum: T1,
      devices: {
        update_started: 20,
        install_failed: 5,
        confirmed: 8,
        attempted: 20,
        failed: 5,
        announced: 20,
        silent: 7,
        returned_late: 3,
        failed_announced: 5,
      },
      hours: { ...NO_HOURS, active: 8 },
      answered: { "3": 10, "30": 3 },
    });
    expect((await read(`${RELEASE}?windows=summed`))["windows"]).toEqual([
      {
        start,
        minutes: 1,
        devices: expect.objectContaining({ attempted: 26, confirmed: 9, silent: 10 }),
        hours: HOURS,
        answered: { "0": 1, "3": 12, "30": 3 },
      },
    ]);
    expect(await read(`${RELEASE}?windows=none`)).not.toHaveProperty("windows");
    expect(await read(`${RELEASE}?windows=summed&hours=24`)).toEqual(await read(RELEASE));
  });

  it.each([
    ["1.9.9", 404, "unknown_release"],
    ["1.4.0%7C", 404, "unknown_release"],
    ["1.4.0?windows=true", 400, "invalid_query"],
    ["1.4.0?windows=all&windows=none", 400, "invalid_query"],
    ["1.4.0?hours=0", 400, "invalid_query"],
    ["1.4.0?hours=2161", 400, "invalid_query"],
    ["1.4.0?hours=1.5", 400, "invalid_query"],
    ["1.4.0?hours=-1", 400, "invalid_query"],
    ["1.4.0?hours=", 400, "invalid_query"],
    ["1.4.0?hours=day", 400, "invalid_query"],
    ["1.4.0?hours=1&hours=2", 400, "invalid_query"],
    ["1.4.0?windows=none&hours=0", 400, "invalid_query"],
    ["1.4.0/more", 404, "not_found"],
  ])("%s: %i %s", async (rest, status, code) => {
    const response = await ask(`/v1/releases/${TILL.app}/${TILL.channel}/${rest}`);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ status, code });
  });

  it.each([RELEASE, `/v1/devices/${TILL.app}/till%2F1`])("%s asks who you are", async (path) => {
    expect((await ask(path, "nobody")).status).toBe(401);
  });
});

/** What is known of the times of a release that a device said nothing more about. */
const UNTOLD = {
  attempted_at: null,
  answered_at: null,
  first_crash_hour: null,
  first_not_responding_hour: null,
  last_used_hour: null,
  recent_hours: { active: 0, crashed: 0, not_responding: 0 },
  stratum: "unknown",
  reasons: [],
  rolled_back: false,
  decisions: [],
};

describe("GET /v1/devices", () => {
  it("shows what is known of a device", async () => {
    await report(TRIED_AT + 41 * MINUTE_MS, say([30, 30], "update_started"));
    const known = await waitUntil(
      () => read<{ releases: unknown[] }>(`/v1/devices/${TILL.app}/till%2F30`),
      ({ releases }) => releases.length === 2,
    );
    expect(known).toEqual({
      app: TILL.app,
      device: "till/30",
      last_seen: new Date(TRIED_AT + 41 * MINUTE_MS).toISOString(),
      running: { channel: TILL.channel, version: "1.3.0" },
      running_told: new Date(TRIED_AT + 3 * MINUTE_MS).toISOString(),
      releases: [
        {
          ...UNTOLD,
          channel: TILL.channel,
          version: "1.4.0",
          outcomes: ["update_started", "attempted", "announced"],
          attempted_at: new Date(TRIED_AT + 41 * MINUTE_MS).toISOString(),
        },
        {
          ...UNTOLD,
          channel: TILL.channel,
          version: "1.3.0",
          outcomes: ["active", "running"],
          answered_at: new Date(TRIED_AT + 3 * MINUTE_MS).toISOString(),
          last_used_hour: new Date(TRIED_AT).toISOString(),
          recent_hours: { active: 1, crashed: 0, not_responding: 0 },
        },
      ],
      story: expect.any(Array),
    });
    expect((await read(`/v1/devices/${TILL.app}/till%2F14`))["running"]).toBeNull();
  });

  it.each([`${TILL.app}/till%2F31`, "com.acme.kiosk/till%2F1", `${TILL.app}/__proto__`])(
    "%s is not known",
    async (name) => {
      const response = await ask(`/v1/devices/${name}`);
      expect(response.status).toBe(404);
      expect(await response.json()).toMatchObject({ code: "unknown_device" });
    },
  );
});

describe("what evaluating keeps for status and /metrics", () => {
  it("holds silence and hours; what an older Lastgood kept without them counts as 0", async () => {
    const { releases } = (await read<Status>("/v1/status")).channels[0]!;
    const of = (text: string) => releases.find((release) => release.version === text)!;
    expect(of("1.4.0").hours).toEqual(HOURS);
    expect(of("1.4.0").devices).toMatchObject({ silent: 10, returned_late: 3, running: 11 });
    expect(of("1.3.0").hours).toEqual({ ...NO_HOURS, active: 1 });
    expect(of("1.0.0").hours).toEqual(NO_HOURS);
    expect(of("0.9.0").hours).toEqual({ ...NO_HOURS, active: 3, crashed: 1 });
    expect(of("1.0.0").devices).toMatchObject({ attempted: 7, silent: 0, running: 0 });
  });
});

describe("/metrics", () => {
  const labels = (text: string): string => `{app="${TILL.app}",channel="${TILL.channel}",version="${text}"}`;

  async function scrape(): Promise<Map<string, string>> {
    const text = await (await fetch(`${agent.url}/metrics`)).text();
    return new Map(text.split("\n").map((line) => line.split(/ (?=[^ ]+$)/) as [string, string]));
  }

  it("has device-hours as counters, and what goes down again as gauges", async () => {
    const samples = await scrape();
    const valuesOf = (name: string): (string | undefined)[] =>
      ["1.4.0", "1.3.0", "1.0.0"].map((text) => samples.get(`${name}${labels(text)}`));
    expect(valuesOf("ota_active_device_hours_total")).toEqual(["11", "1", "0"]);
    expect(valuesOf("ota_crashed_device_hours_total")).toEqual(["2", "0", "0"]);
    expect(valuesOf("ota_not_responding_device_hours_total")).toEqual(["1", "0", "0"]);
    expect(valuesOf("ota_silent_devices")).toEqual(["10", "0", "0"]);
    expect(valuesOf("ota_running_devices")).toEqual(["11", "1", "0"]);
    const shown = [...samples.keys()].flatMap(
      (name) => /^ota_devices_total.*outcome="(\w+)"/.exec(name)?.[1] ?? [],
    );
    const passing = ["failed_unannounced", "download_failed_unannounced", "silent", "running"];
    expect(new Set(shown)).toEqual(new Set(OUTCOMES.filter((outcome) => !passing.includes(outcome))));
    const returned = labels("1.4.0").replace("}", ',outcome="returned_late"}');
    expect(samples.get(`ota_devices_total${returned}`)).toBe("3");
  });

  it("says since when somebody has listened, and nothing while nobody does", async () => {
    const name = "ota_listening_since_timestamp_seconds";
    expect((await scrape()).get(name)).toBe(String((NOW - 2 * HOUR_MS) / 1_000));
    await redis.hset(LISTENING_KEY, { last: NOW - LISTENING_GAP_MS_MAX - 1 });
    expect((await scrape()).has(name)).toBe(false);
    await redis.hset(LISTENING_KEY, { last: NOW - LISTENING_GAP_MS_MAX });
    expect((await scrape()).get(name)).toBe(String((NOW - 2 * HOUR_MS) / 1_000));
    await redis.del(LISTENING_KEY);
    expect((await scrape()).has(name)).toBe(false);
  });
});

describe("the command line", () => {
  async function cli(...args: string[]): Promise<{ out: string; err: string; code: number }> {
    const seen = { out: "", err: "", code: 0 };
    const context: CliContext = {
      env: { LASTGOOD_AGENT_URL: agent.url, LASTGOOD_TOKEN: VIEWER },
      workingDir: "/nonexistent",
      out: (text) => void (seen.out += text),
      err: (text) => void (seen.err += text),
      setExitCode: (code) => void (seen.code = code),
    };
    const program = new Command("lastgood").exitOverride().configureOutput({ writeErr: context.err });
    for (const register of [registerHealth, registerDevice, registerStatus]) register(program, context);
    await program.parseAsync(args, { from: "user" });
    return seen;
  }

  it("health shows a page that fits the terminal, whatever devices call themselves", async () => {
    const { out, err, code } = await cli("health", TILL.app, TILL.channel, "1.4.0");
    expect({ err, code }).toEqual({ err: "", code: 0 });
    expect(out).toMatch(/^ {2}silent +10 of 2[56] that said they began/m);
    expect(out).toContain("18.2%: crashes in 2 of 11 device-hours");
    expect(out).toMatch(/^ {2}disk_full +4 {2}█{24}$/m);
    expect(out).toMatch(/^ {2}android \/ T1 \/ 14 +20 +5 \(25\.0%\) +7 /m);
    expect(out).toContain("android / ?31m?\"' / 14");
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    // oxlint-disable-next-line no-control-regex -- control characters are exactly what must not pass
    expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });

  it("health --json is the agent's answer", async () => {
    const { out } = await cli("health", TILL.app, TILL.channel, "1.4.0", "--json");
    expect(JSON.parse(out)).toEqual(await read(`${RELEASE}?windows=summed`));
  });

  it("health looks as far back as --hours says, and says what is wrong with it", async () => {
    expect((await cli("health", TILL.app, TILL.channel, "1.4.0", "--hours", "2160")).code).toBe(0);
    const wrong = await cli("health", TILL.app, TILL.channel, "1.4.0", "--hours", "a day");
    expect(wrong).toMatchObject({ out: "", code: 1 });
    expect(wrong.err).toContain("`hours` must be a whole number from 1 to 2160");
  });

  it("device shows a device, and says of one that is not known what to check", async () => {
    expect((await cli("device", TILL.app, "till/21")).out).toBe(
      [
        `${TILL.app} / till/21`,
        "  last seen  2026-01-31 11:03:00 (UTC, by the device's clock)",
        "  runs       1.4.0 on production",
        "",
        "  2026-01-31 11:00     began to update to 1.4.0 on production",
        "  2026-01-31 11:03     1.4.0 on production: in use for the first time",
        "  2026-01-31 11h       first crash of 1.4.0 on production; in 1 hour of its last",
        "                       7 days of use",
        "  2026-01-31 11:03:00  newest word that it runs 1.4.0 on production",
        "  2026-01-31 11:03:00  last heard of",
        "",
        "  1.4.0 on production",
        "    installed, crashed, attempted, announced, running",
        "",
      ].join("\n"),
    );
    const missing = await cli("device", TILL.app, "till/99");
    expect(missing).toMatchObject({ out: "", code: 1 });
    expect(missing.err).toContain("Nothing is known of this device: Check the app and the device's id");
    expect((await cli("health", TILL.app, TILL.channel, "9.9")).err).toContain("no counts of this release");
  });

  it("status names who is silent below its table", async () => {
    const { out } = await cli("status");
    expect(out).toContain(
      [
        "\n  1.4.0:",
        "    10 silent, 3 returned late, 11 device-hours, 2 crashed (18.2%),",
        "    1 not responding (9.1%)\n",
      ].join("\n"),
    );
    expect(out).toContain("\n  1.3.0: 1 device-hour\n");
    expect(out).not.toContain("1.0.0:");
  });

  it.each([["health"], ["health", TILL.app, TILL.channel], ["device"]])(
    "%s without all of its arguments says which is missing",
    async (...args) => {
      await expect(cli(...args)).rejects.toThrow(/missing required argument '(app|version|app-or-device)'/);
    },
  );
});
