// A metric whose samples are written as text at once, for those with ten thousands of series: prom-client checks, hashes and
// escapes the labels of each sample, and keeps an object of it. Enters: labels, formatted once for many samples, and values.
// Leaves: the metric's part of the exposition (Prometheus text format 0.0.4), as prom-client would have written it.
import type { Registry } from "prom-client";

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
  /** Labels, labels, value of each sample in turn: parts that many samples share, joined once. */
  #parts: string[] = [];
  #text: string | undefined;

  constructor({ name, help, type, labelNames, collect }: TextMetricOptions) {
    this.name = name;
    this.help = help;
    this.type = type;
    this.labelNames = labelNames;
    this.#collect = collect;
    this.#opening = `\n${name}{`;
  }

  /**
   * One sample. `labels` as `formatLabels` makes them, and what follows them, from its comma on; whoever calls sees to it
   * that they were not added before.
   */
  add(labels: string, value: number, more = ""): void {
    this.write(this.#parts, labels, value, more);
  }

  /** Samples that `SampleTexts` has of this metric. */
  addText(text: string): void {
    this.#parts.push(text);
  }

  /** As `add`, but onto the end of `parts`. */
  write(parts: string[], labels: string, value: number, more: string): void {
    // What was read as JSON may be anything; one line that is no sample would cost Prometheus the whole scrape.
    if (typeof value !== "number") throw new TypeError(`${this.name}: no number: ${String(value)}`);
    if (this.type === "counter" && (value < 0 || value === Infinity))
      throw new RangeError(`${this.name}: no value of a counter: ${value}`);
    parts.push(this.#opening, labels, more, "} ", formatValue(value));
  }

  reset(): void {
    this.#parts = [];
    this.#text = undefined;
  }

  /** Once everything was added: what is added later is not read before the next reset. */
  async exposition(): Promise<string> {
    await this.#collect();
    if (this.#text === undefined) {
      const head = `# HELP ${this.name} ${escapeBackslashes(this.help)}\n# TYPE ${this.name} ${this.type}`;
      this.#text = head + this.#parts.join("");
      this.#parts = [];
    }
    return this.#text;
  }
}

/** What one thing has to say in several metrics, written once: to be added to them with each reading while it stays so. */
export class SampleTexts {
  readonly #texts: readonly (readonly [TextMetric, string])[];

  constructor(write: (add: AddSample) => void) {
    const parts = new Map<TextMetric, string[]>();
    write((metric, labels, value, more = "") => {
      let ofMetric = parts.get(metric);
      if (ofMetric === undefined) parts.set(metric, (ofMetric = []));
      metric.write(ofMetric, labels, value, more);
    });
    this.#texts = Array.from(parts, ([metric, ofMetric]) => [metric, ofMetric.join("")]);
  }

  addAll(): void {
    for (const [metric, text] of this.#texts) metric.addText(text);
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
