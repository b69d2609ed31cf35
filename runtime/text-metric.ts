// A metric whose samples are written as text at once, for those with ten thousands of series: prom-client checks, hashes and
// escapes the labels of each sample, and keeps an object of it. Enters: labels, formatted once for many samples, and values.
// Leaves: the metric's part of the exposition (Prometheus text format 0.0.4), as prom-client would have written it.
import type { Registry } from "prom-client";

/** Part of an exposition: what was encoded once is copied into each page, which takes less time than text does. */
export type Chunk = string | Uint8Array;

/** What a page has of one metric. */
export interface Family {
  /** HELP, TYPE, and whatever samples come with them, without a line end after the last. */
  readonly head: string;
  /** More samples, each after a line end. */
  readonly samples: readonly Chunk[];
}

export interface TextMetricOptions {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly labelNames: readonly string[];
  readonly registers: readonly Registry[];
  /** Before it is read: writes the samples anew. */
  readonly collect: () => Promise<void>;
}

export class TextMetric {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly labelNames: readonly string[];
  readonly #collect: () => Promise<void>;
  readonly #opening: string;
  readonly #head: string;
  /** Labels, labels, value of each sample in turn (parts that many samples share, joined once), and bytes of many. */
  #parts: Chunk[] = [];

  constructor({ name, help, type, labelNames, collect }: TextMetricOptions) {
    this.name = name;
    this.help = help;
    this.type = type;
    this.labelNames = labelNames;
    this.#collect = collect;
    this.#opening = `\n${name}{`;
    this.#head = `# HELP ${name} ${escapeBackslashes(help)}\n# TYPE ${name} ${type}`;
  }

  /**
   * One sample. `labels` as `formatLabels` makes them, and what follows them, from its comma on; whoever calls sees to it
   * that they were not added before.
   */
  add(labels: string, value: number, more = ""): void {
    this.write(this.#parts, labels, value, more);
  }

  /** Samples that `SampleBytes` has of this metric. */
  addBytes(samples: Uint8Array): void {
    this.#parts.push(samples);
  }

  /** As `add`, but onto the end of `parts`. */
  write(parts: Chunk[], labels: string, value: number, more: string): void {
    // What was read as JSON may be anything; one line that is no sample would cost Prometheus the whole scrape.
    if (typeof value !== "number") throw new TypeError(`${this.name}: no number: ${String(value)}`);
    if (this.type === "counter" && (value < 0 || value === Infinity))
      throw new RangeError(`${this.name}: no value of a counter: ${value}`);
    parts.push(this.#opening, labels, more, "} ", formatValue(value));
  }

  reset(): void {
    this.#parts = [];
  }

  /** What was added since the last reset. */
  async family(): Promise<Family> {
    await this.#collect();
    // Joined here already: a scrape that comes next resets what this one has not sent yet.
    return { head: this.#head, samples: joinStrings(this.#parts) };
  }

  async exposition(): Promise<string> {
    const { head, samples } = await this.family();
    return encode([head, ...samples]).toString();
  }
}

/** Neighbours that are strings become one. */
function joinStrings(chunks: readonly Chunk[]): Chunk[] {
  const joined: Chunk[] = [];
  let strings: string[] = [];
  for (const chunk of chunks)
    if (typeof chunk === "string") strings.push(chunk);
    else {
      if (strings.length > 0) joined.push(strings.join(""));
      strings = [];
      joined.push(chunk);
    }
  if (strings.length > 0) joined.push(strings.join(""));
  return joined;
}

export function encode(chunks: readonly Chunk[]): Buffer {
  return Buffer.concat(chunks.map((chunk) => (typeof chunk === "string" ? Buffer.from(chunk) : chunk)));
}

/** What one thing has to say in several metrics, encoded once: to be added to them with each reading while it stays so. */
export class SampleBytes {
  readonly #samples: readonly (readonly [TextMetric, Uint8Array])[];

  constructor(write: (add: AddSample) => void) {
    const parts = new Map<TextMetric, string[]>();
    write((metric, labels, value, more = "") => {
      let ofMetric = parts.get(metric);
      if (ofMetric === undefined) parts.set(metric, (ofMetric = []));
      metric.write(ofMetric, labels, value, more);
    });
    const texts = Array.from(parts, ([metric, ofMetric]) => [metric, ofMetric.join("")] as const);
    // One piece of memory, that goes as a whole when the thing does.
    const lengths = texts.map(([, text]) => Buffer.byteLength(text));
    const bytes = Buffer.allocUnsafeSlow(lengths.reduce((sum, length) => sum + length, 0));
    let start = 0;
    this.#samples = texts.map(([metric, text], index) => {
      const end = start + lengths[index]!;
      bytes.write(text, start);
      const samples = bytes.subarray(start, end);
      start = end;
      return [metric, samples];
    });
  }

  addAll(): void {
    for (const [metric, samples] of this.#samples) metric.addBytes(samples);
  }
}

/** `TextMetric.add`, of whichever metric. */
export type AddSample = (metric: TextMetric, labels: string, value: number, more?: string) => void;

/** Only in registries of `createRegistry`: prom-client's own can't render it. */
export function createTextMetric(options: TextMetricOptions): TextMetric {
  const metric = new TextMetric(options);
  // The registry only keeps it by its name.
  for (const registry of options.registers)
    registry.registerMetric(metric as unknown as Parameters<Registry["registerMetric"]>[0]);
  return metric;
}

/** `app="com.acme.till",channel="production"`, escaped. */
export function formatLabels(labels: Readonly<Record<string, string>>): string {
  let text = "";
  for (const [name, value] of Object.entries(labels))
    text += `${text === "" ? "" : ","}${name}="${escapeLabel(value)}"`;
  return text;
}

function escapeLabel(value: string): string {
  if (!/["\\\n]/.test(value)) return value;
  return escapeBackslashes(value).replaceAll('"', String.raw`\"`);
}

function escapeBackslashes(text: string): string {
  return text.replaceAll("\\", String.raw`\\`).replaceAll("\n", String.raw`\n`);
}

/** As prom-client writes it; Prometheus reads not-a-number in any case. */
function formatValue(value: number): string {
  if (Number.isFinite(value)) return String(value);
  if (Number.isNaN(value)) return "Nan";
  return value < 0 ? "-Inf" : "+Inf";
}
