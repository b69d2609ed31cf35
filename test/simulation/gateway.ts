// Carries the fleet's reports to ingest as gateways in the field do: single reports, JSON arrays and
// NDJSON, some of them gzipped, a few requests at a time. A report that ingest did not acknowledge is
// sent again until it is: nothing is ever dropped. Enters: reports. Leaves: acknowledged reports.
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { sleep } from "../../runtime/clock.ts";
import type { Random } from "./random.ts";
import type { WireReport } from "./wire-report.ts";

export interface GatewayOptions {
  readonly url: string;
  readonly key: string;
  readonly random: Random;
  /** Requests under way at the same time. */
  readonly concurrency?: number;
  /** How long one request may take before it counts as lost and is sent again, in milliseconds. */
  readonly requestMsMax?: number;
  readonly onAccepted: (report: WireReport) => void;
}

export interface GatewayCounts {
  readonly accepted: number;
  /** Handed over and not acknowledged yet. */
  readonly waiting: number;
  readonly requests: number;
  /** Requests that had to be sent again. */
  readonly retries: number;
  /** Reports that ingest refuses for good: always a fault of the simulation or of ingest. */
  readonly refused: number;
  readonly lastRefusal: string | undefined;
}

export interface Gateway {
  submit(reports: readonly WireReport[]): void;
  /** Resolves when every submitted report was acknowledged or refused. */
  drained(): Promise<void>;
  counts(): GatewayCounts;
}

type Shape = "single" | "array" | "ndjson";

interface Batch {
  readonly reports: readonly WireReport[];
  readonly body: string | Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

type Answer =
  | { readonly kind: "accepted"; readonly rejected: ReadonlyMap<number, string> }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "try_again"; readonly afterMs: number | undefined };

const CONCURRENCY_DEFAULT = 8;
const REQUEST_MS_MAX_DEFAULT = 10_000;
const BATCH_REPORTS_MAX: Record<Shape, number> = { single: 1, array: 200, ndjson: 500 };
const SINGLE_RATIO = 0.25;
const NDJSON_RATIO = 0.35;
const GZIP_RATIO = 0.5;
const BACKOFF_MS_MIN = 50;
const BACKOFF_MS_MAX = 1_000;

export function createGateway(options: GatewayOptions): Gateway {
  const queue: WireReport[] = [];
  const idleWaiters: (() => void)[] = [];
  const counts = { accepted: 0, requests: 0, retries: 0, refused: 0 };
  let lastRefusal: string | undefined;
  let inFlight = 0;
  let inFlightReports = 0;

  const book = ({ reports }: Batch, answer: Exclude<Answer, { kind: "try_again" }>): void => {
    reports.forEach((report, index) => {
      const why = answer.kind === "refused" ? answer.why : answer.rejected.get(index);
      if (why === undefined) {
        counts.accepted += 1;
        options.onAccepted(report);
      } else {
        counts.refused += 1;
        lastRefusal = why;
      }
    });
  };
  const deliver = async (batch: Batch): Promise<void> => {
    for (let attempt = 0; ; attempt += 1) {
      counts.requests += 1;
      const answer = await post(options, batch);
      if (answer.kind !== "try_again") return book(batch, answer);
      counts.retries += 1;
      const backoffMs = Math.min(BACKOFF_MS_MIN * 2 ** attempt, BACKOFF_MS_MAX);
      await sleep(Math.min(answer.afterMs ?? backoffMs, BACKOFF_MS_MAX) * options.random.between(0.5, 1));
    }
  };
  const pump = (): void => {
    while (inFlight < (options.concurrency ?? CONCURRENCY_DEFAULT) && queue.length > 0) {
      const shape = drawShape(options.random);
      const reports = queue.splice(0, BATCH_REPORTS_MAX[shape]);
      inFlight += 1;
      inFlightReports += reports.length;
      void pack({ reports, shape, random: options.random, key: options.key })
        .then(deliver)
        .finally(() => {
          inFlight -= 1;
          inFlightReports -= reports.length;
          pump();
        });
    }
    if (inFlight === 0) for (const wake of idleWaiters.splice(0)) wake();
  };
  return {
    submit: (reports) => {
      for (const report of reports) queue.push(report);
      pump();
    },
    drained: () =>
      inFlight === 0 && queue.length === 0
        ? Promise.resolve()
        : new Promise((resolve) => void idleWaiters.push(resolve)),
    counts: () => ({ ...counts, waiting: queue.length + inFlightReports, lastRefusal }),
  };
}

function drawShape(random: Random): Shape {
  const draw = random.next();
  if (draw < SINGLE_RATIO) return "single";
  return draw < SINGLE_RATIO + NDJSON_RATIO ? "ndjson" : "array";
}

const compress = promisify(gzip);

async function pack(options: {
  reports: readonly WireReport[];
  shape: Shape;
  random: Random;
  key: string;
}): Promise<Batch> {
  const { reports, shape, random, key } = options;
  const text = toText(reports, shape);
  const isZipped = shape !== "single" && random.chance(GZIP_RATIO);
  return {
    reports,
    body: isZipped ? await compress(text) : text,
    headers: {
      authorization: `Bearer ${key}`,
      "content-type": shape === "ndjson" ? "application/x-ndjson" : "application/json",
      ...(isZipped ? { "content-encoding": "gzip" } : {}),
    },
  };
}

function toText(reports: readonly WireReport[], shape: Shape): string {
  switch (shape) {
    case "single":
      return JSON.stringify(reports[0]);
    case "array":
      return JSON.stringify(reports);
    case "ndjson":
      return reports.map((report) => `${JSON.stringify(report)}\n`).join("");
  }
}

/** Failures of the way there and 5xx, 408, 429 are tried again; every other refusal is for good. */
async function post(options: GatewayOptions, batch: Batch): Promise<Answer> {
  try {
    const response = await fetch(`${options.url}/v1/reports`, {
      method: "POST",
      headers: { ...batch.headers },
      body: typeof batch.body === "string" ? batch.body : new Uint8Array(batch.body),
      signal: AbortSignal.timeout(options.requestMsMax ?? REQUEST_MS_MAX_DEFAULT),
    });
    const text = await response.text();
    if (response.status === 202) return readAccepted(text);
    if (response.status >= 500 || response.status === 408 || response.status === 429) {
      const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
      return { kind: "try_again", afterMs: Number.isFinite(seconds) ? seconds * 1_000 : undefined };
    }
    return { kind: "refused", why: `${response.status} ${text.slice(0, 300)}` };
  } catch {
    return { kind: "try_again", afterMs: undefined };
  }
}

function readAccepted(text: string): Answer {
  const { rejected } = JSON.parse(text) as { rejected: { index: number; code: string; detail: string }[] };
  return {
    kind: "accepted",
    rejected: new Map(rejected.map(({ index, code, detail }) => [index, `${code}: ${detail}`])),
  };
}
