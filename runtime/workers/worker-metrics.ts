// One set of counters of several processes that die and come again. Enters: what each worker's registry held when it was
// asked last, and word of a worker's end. Leaves: one reading. Pure.
//
// A sum over those that live would fall when one dies, which Prometheus takes for a restart of all: `rate` would then count
// once more whatever the others have. So what a dead one had counted stays in the sum; what it measured (gauges) goes.
//
// It would fall as well when one that lives leaves a label set out, as the tally of releases does with versions that are no
// longer among the busiest. Such a series begins again at zero for all: that is a restart of the series alone, after which
// only what is new is counted.
import { mergeReadings, readMetrics } from "../metrics.ts";
import type { MetricsReading, Registry } from "../metrics.ts";

export interface WorkerMetrics {
  /** `life`: of one process, from its start to its end. Newer than what was noted of it before; not after its end. */
  note(life: number, reading: MetricsReading): void;
  /** That process is dead; one that is started in its place begins at zero. */
  noteEnd(life: number): Promise<void>;
  /** All of them together with the first process itself. */
  merged(own: MetricsReading): Registry;
}

export function createWorkerMetrics(): WorkerMetrics {
  const known = new Map<number, MetricsReading>();
  /** Of all that are dead, in one piece: it does not grow with every end. */
  let ended: MetricsReading = [];
  let adding = Promise.resolve();
  const addEnded = async (life: number): Promise<void> => {
    const last = known.get(life);
    if (last === undefined) return;
    const before = ended;
    const together = await readMetrics(mergeReadings([before, countersOf(last)]));
    // A series began again meanwhile.
    if (ended !== before) return addEnded(life);
    // In one step: a scrape counts it either here or there.
    ended = together;
    known.delete(life);
  };
  const note = (life: number, reading: MetricsReading): void => {
    const before = known.get(life) ?? [];
    known.delete(life);
    for (const { metric, values } of fallenIn(before, reading))
      ended = withZeroed(ended, { metric, values, living: [...known.values()] });
    known.set(life, reading);
  };
  return {
    note,
    noteEnd: (life) => (adding = adding.then(() => addEnded(life))),
    merged: (own) =>
      mergeReadings([own.map(keptFirst), ...known.values(), ended].map((reading) => reading.map(told))),
  };
}

type Metric = MetricsReading[number];
type Value = Metric["values"][number];

interface Fallen {
  readonly metric: Metric;
  readonly values: readonly Value[];
}

/** Counters' label sets that a process no longer has, or has from zero again. */
function fallenIn(before: MetricsReading, now: MetricsReading): readonly Fallen[] {
  return before.filter(isCounter).flatMap((metric) => {
    if (
      hasOnlyRisen(
        metric,
        now.find(({ name }) => name === metric.name),
      )
    )
      return [];
    const later = valuesByLabels(now, metric.name);
    const values = metric.values.filter((value) => (later.get(labelsOf(value)) ?? -1) < value.value);
    return values.length === 0 ? [] : [{ metric, values }];
  });
}

/** As nearly always: the same series in the same order, none lower than before. */
function hasOnlyRisen({ values }: Metric, later: Metric | undefined): boolean {
  if (later === undefined) return values.length === 0;
  return values.every((value, index) => {
    const now = later.values[index];
    if (now === undefined || now.value < value.value) return false;
    return Object.entries(value.labels).every(([name, text]) => now.labels[name] === text);
  });
}

/** What makes a sum with the living zero takes the place of what the dead had counted; nothing, where none of them counts. */
function withZeroed(
  ended: MetricsReading,
  { metric, values, living }: Fallen & { readonly living: readonly MetricsReading[] },
): MetricsReading {
  const others = living.map((reading) => valuesByLabels(reading, metric.name));
  const gone = new Set(values.map(labelsOf));
  const kept = ended.find(({ name }) => name === metric.name)?.values ?? [];
  const zeroing = values.flatMap((value) => {
    const counted = others.reduce((sum, other) => sum + (other.get(labelsOf(value)) ?? 0), 0);
    return counted === 0 ? [] : [{ ...value, value: -counted }];
  });
  const all = [...kept.filter((value) => !gone.has(labelsOf(value))), ...zeroing];
  return [...ended.filter(({ name }) => name !== metric.name), { ...metric, values: all }];
}

function valuesByLabels(reading: MetricsReading, name: string): ReadonlyMap<string, number> {
  const values = reading.find((metric) => metric.name === name)?.values ?? [];
  return new Map(values.map((value) => [labelsOf(value), value.value]));
}

/** In the order of names: a sum of readings need not have that of its parts. */
function labelsOf({ labels }: Value): string {
  return JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function isCounter({ type }: Metric): boolean {
  return type.toString() === "counter";
}

function countersOf(reading: MetricsReading): MetricsReading {
  return reading.filter(({ type }) => type.toString() === "counter" || type.toString() === "histogram");
}

/** By which one process in trouble can be seen: in a mean of all it hides behind the others, and in a sum of limits. */
function told(metric: Metric): Metric {
  if (metric.name.startsWith("nodejs_eventloop_lag_")) return { ...metric, aggregator: "max" };
  return metric.name === "process_max_fds" ? { ...metric, aggregator: "min" } : metric;
}

/** prom-client leaves out of a sum when the process started: here it is when the first one did. */
function keptFirst(metric: Metric): Metric {
  return metric.aggregator === "omit" ? { ...metric, aggregator: "first" } : metric;
}
