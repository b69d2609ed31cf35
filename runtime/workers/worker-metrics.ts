// One set of counters of several processes that die and come again. Enters: what each worker's registry held when it was
// asked last, and word of a worker's end. Leaves: one reading. Pure.
//
// A sum over those that live would fall when one dies, which Prometheus takes for a restart of all: `rate` would then count
// once more whatever the others have. So what a dead one had counted stays in the sum; what it measured (gauges) goes.
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
    const together = await readMetrics(mergeReadings([ended, countersOf(last)]));
    // In one step: a scrape counts it either here or there.
    ended = together;
    known.delete(life);
  };
  return {
    note: (life, reading) => void known.set(life, reading),
    noteEnd: (life) => (adding = adding.then(() => addEnded(life))),
    merged: (own) => mergeReadings([own.map(keptFirst), ...known.values(), ended]),
  };
}

function countersOf(reading: MetricsReading): MetricsReading {
  return reading.filter(({ type }) => type.toString() === "counter" || type.toString() === "histogram");
}

/** prom-client leaves out of a sum when the process started: here it is when the first one did. */
function keptFirst(metric: MetricsReading[number]): MetricsReading[number] {
  return metric.aggregator === "omit" ? { ...metric, aggregator: "first" } : metric;
}
