// What the first process makes of its workers' metrics and checks.
import { describe, expect, test } from "vitest";
import { mergeChecks } from "../../../runtime/workers/worker-checks.ts";
import { createWorkerMetrics } from "../../../runtime/workers/worker-metrics.ts";
import { orNothing } from "../../../runtime/workers/worker.ts";
import type { Logger } from "../../../runtime/logger.ts";
import { Counter, Gauge, Histogram, createRegistry, readMetrics } from "../../../runtime/metrics.ts";
import type { MetricsReading, Registry } from "../../../runtime/metrics.ts";

interface Instruments {
  readonly registry: Registry;
  readonly taken: Counter<"result">;
  readonly inFlight: Gauge;
  readonly oldest: Gauge;
  readonly took: Histogram;
  read(): Promise<MetricsReading>;
}

function instruments(): Instruments {
  const registry = createRegistry({ process: "test", version: "0.0.0" });
  const registers = [registry];
  return {
    registry,
    taken: new Counter({ name: "taken_total", help: "-", labelNames: ["result"], registers }),
    inFlight: new Gauge({ name: "in_flight", help: "-", registers }),
    oldest: new Gauge({ name: "oldest", help: "-", aggregator: "min", registers }),
    took: new Histogram({ name: "took_seconds", help: "-", buckets: [1, 10], registers }),
    read: () => readMetrics(registry),
  };
}

async function samplesOf(registry: Registry): Promise<Record<string, number>> {
  const lines = (await registry.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return Object.fromEntries(
    lines.map((line) => {
      const end = line.lastIndexOf(" ");
      return [line.slice(0, end), Number(line.slice(end + 1))];
    }),
  );
}

describe("metrics of several workers", () => {
  test("one that lags or has few handles left does not hide behind the others", async () => {
    const reading = (lagSeconds: number, fds: number): MetricsReading =>
      [
        { name: "nodejs_eventloop_lag_p99_seconds", aggregator: "average", value: lagSeconds },
        { name: "process_max_fds", aggregator: "sum", value: fds },
      ].map(({ name, aggregator, value }) => ({
        name,
        help: "-",
        type: "gauge",
        aggregator,
        values: [{ value, labels: {} }],
      })) as unknown as MetricsReading;
    const metrics = createWorkerMetrics();
    metrics.note(1, reading(2, 1_000));
    metrics.note(2, reading(0, 500));
    expect(await samplesOf(metrics.merged(reading(0, 1_000)))).toEqual({
      nodejs_eventloop_lag_p99_seconds: 2,
      process_max_fds: 500,
    });
  });

  test("counters, histograms and most gauges are sums; what says otherwise is not", async () => {
    const [one, other] = [instruments(), instruments()];
    one.taken.inc({ result: "ok" }, 3);
    other.taken.inc({ result: "ok" }, 4);
    other.taken.inc({ result: "bad" }, 1);
    one.inFlight.set(2);
    other.inFlight.set(5);
    one.oldest.set(100);
    other.oldest.set(70);
    one.took.observe(0.5);
    other.took.observe(5);
    const metrics = createWorkerMetrics();
    metrics.note(1, await one.read());
    metrics.note(2, await other.read());
    expect(await samplesOf(metrics.merged([]))).toMatchObject({
      'taken_total{result="ok"}': 7,
      'taken_total{result="bad"}': 1,
      in_flight: 7,
      oldest: 70,
      'took_seconds_bucket{le="1"}': 1,
      'took_seconds_bucket{le="10"}': 2,
      took_seconds_count: 2,
      took_seconds_sum: 5.5,
      [`ota_build_info{process="test",version="0.0.0",node="${process.version}"}`]: 1,
    });
  });

  test("a series that one worker leaves out, or has from zero again, begins again at zero, and counts only what is new", async () => {
    const metrics = createWorkerMetrics();
    const [one, other, dead] = [instruments(), instruments(), instruments()];
    const seen = async (): Promise<number | undefined> => {
      metrics.note(1, await one.read());
      metrics.note(2, await other.read());
      return (await samplesOf(metrics.merged([])))['taken_total{result="rare"}'];
    };
    for (const [index, life] of [one, other, dead].entries()) {
      life.taken.inc({ result: "rare" }, 10 * (index + 1));
      life.taken.inc({ result: "ok" }, 1);
    }
    metrics.note(3, await dead.read());
    await metrics.noteEnd(3);
    expect(await seen()).toBe(60);
    one.taken.remove({ result: "rare" });
    expect(await seen()).toBe(0);
    other.taken.inc({ result: "rare" }, 2);
    one.taken.inc({ result: "rare" }, 3);
    expect(await seen()).toBe(5);
    one.taken.remove({ result: "rare" });
    one.taken.inc({ result: "rare" }, 1);
    expect(await seen()).toBe(1);
    // The end of one that counts it takes nothing away, nor does it bring back what was before.
    await metrics.noteEnd(2);
    expect((await samplesOf(metrics.merged([])))['taken_total{result="rare"}']).toBe(1);
    expect((await samplesOf(metrics.merged([])))['taken_total{result="ok"}']).toBe(3);
  });

  test("a series that begins again while an end is added does so all the same", async () => {
    const metrics = createWorkerMetrics();
    const [one, dead] = [instruments(), instruments()];
    one.taken.inc({ result: "rare" }, 10);
    dead.taken.inc({ result: "ok" }, 7);
    const gone = instruments();
    gone.taken.inc({ result: "rare" }, 20);
    metrics.note(3, await gone.read());
    await metrics.noteEnd(3);
    metrics.note(1, await one.read());
    metrics.note(2, await dead.read());
    one.taken.remove({ result: "rare" });
    const without = await one.read();
    const ending = metrics.noteEnd(2);
    // The addition has begun, and is not done.
    await Promise.resolve();
    metrics.note(1, without);
    await ending;
    const samples = await samplesOf(metrics.merged([]));
    expect(samples['taken_total{result="rare"}']).toBeUndefined();
    expect(samples['taken_total{result="ok"}']).toBe(7);
  });

  test("no counter falls when workers die, also together, and come again: a rate would count the rest twice", async () => {
    const metrics = createWorkerMetrics();
    const lives = [1, 2, 3].map(() => instruments());
    for (const [index, life] of lives.entries()) {
      life.taken.inc({ result: "ok" }, 10 + index);
      life.took.observe(index);
      life.inFlight.set(1);
      metrics.note(index, await life.read());
    }
    const ends = [metrics.noteEnd(0), metrics.noteEnd(1)];
    // Asked while the ends are being added.
    for (let turn = 0; turn < 20; turn += 1) {
      const samples = await samplesOf(metrics.merged([]));
      expect([samples['taken_total{result="ok"}'], samples["took_seconds_count"]]).toEqual([33, 3]);
    }
    await Promise.all(ends);
    const again = instruments();
    again.taken.inc({ result: "ok" }, 1);
    metrics.note(3, await again.read());
    await metrics.noteEnd(2);
    // What was measured, and not counted, went with those who measured it.
    expect(await samplesOf(metrics.merged([]))).toMatchObject({
      'taken_total{result="ok"}': 34,
      took_seconds_count: 3,
      took_seconds_sum: 3,
      in_flight: 0,
    });
  });

  test("the end of one that never answered changes nothing", async () => {
    const metrics = createWorkerMetrics();
    await metrics.noteEnd(9);
    expect(await samplesOf(metrics.merged([]))).toEqual({});
  });
});

describe("checks of several workers", () => {
  const fine = { redis: undefined, process: undefined };

  test("all fine", () => {
    expect(mergeChecks([fine, fine])).toEqual({ redis: undefined, workers: undefined });
  });

  test("one is being started again: ready, with a note", () => {
    expect(mergeChecks([fine, undefined])).toEqual({
      redis: undefined,
      workers: { note: "1 of 2 answer" },
    });
  });

  test("none answers: not ready", () => {
    expect(mergeChecks([undefined, undefined]).workers).toBe("0 of 2 answer");
  });

  test("Redis is away from one, which is a note, and from all, which is not", () => {
    const away = { redis: "not connected" };
    expect(mergeChecks([fine, away]).redis).toEqual({ note: "not connected" });
    expect(mergeChecks([away, away]).redis).toBe("not connected");
    expect(mergeChecks([fine, { redis: { note: "in the spool" } }]).redis).toEqual({ note: "in the spool" });
    expect(mergeChecks([away, { redis: { note: "in the spool" } }]).redis).toEqual({ note: "not connected" });
  });
});

test("metrics that cannot be read are logged, and end no worker", async () => {
  const { registry } = instruments();
  void new Gauge({
    name: "broken",
    help: "-",
    registers: [registry],
    collect() {
      throw new Error("cannot be read");
    },
  });
  const logged: unknown[] = [];
  const logger = { error: (...words: unknown[]) => void logged.push(words) } as unknown as Logger;
  await orNothing(logger, async () => void (await readMetrics(registry)));
  expect(logged).toMatchObject([
    [{ err: { message: "cannot be read" } }, expect.stringContaining("no answer")],
  ]);
});
