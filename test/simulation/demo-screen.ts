// Draws the demo while it runs: on a terminal a block that is redrawn in place, elsewhere a line every
// two seconds. Enters: the world as the story sees it. Leaves: text on one stream.
import { compareVersions } from "../../ingest/contract/release-key.ts";
import { LIMIT } from "./demo-stack.ts";
import { count, percent } from "./demo-story.ts";
import type { Happening, World } from "./demo-story.ts";
import type { ReleaseStatus, SignalNumbers } from "./lastgood-client.ts";

type Paint = (text: string) => string;

export type Palette = Readonly<Record<"bold" | "dim" | "good" | "bad" | "accent", Paint>>;

export function createPalette(hasColour: boolean): Palette {
  const paint = (code: string) => (text: string) => (hasColour ? `\u001B[${code}m${text}\u001B[0m` : text);
  return { bold: paint("1"), dim: paint("2"), good: paint("32"), bad: paint("31"), accent: paint("36") };
}

export interface ScreenStream {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

export interface Screen {
  /** A line that stays. */
  readonly note: (happening: Happening) => void;
  /** Draws once more, then leaves the terminal as it was found. */
  close(): void;
}

const REDRAW_MS = 200;
const LINE_MS = 2_000;
const HIDE_CURSOR = "\u001B[?25l";
const SHOW_CURSOR = "\u001B[?25h";

export function createScreen(options: {
  stream: ScreenStream;
  world: World;
  devices: number;
  palette: Palette;
}): Screen {
  return options.stream.isTTY === true ? createBlockScreen(options) : createLineScreen(options);
}

type ScreenOptions = Parameters<typeof createScreen>[0];

function createBlockScreen({ stream, world, devices, palette }: ScreenOptions): Screen {
  let drawn = 0;
  const erase = (): void => {
    if (drawn > 0) stream.write(`\u001B[${drawn}A\u001B[0J`);
    drawn = 0;
  };
  const draw = (): void => {
    const lines = renderBlock({ world, devices, palette });
    erase();
    stream.write(`${lines.join("\n")}\n`);
    drawn = lines.length;
  };
  stream.write(HIDE_CURSOR);
  const timer = setInterval(draw, REDRAW_MS);
  return {
    note: (happening) => {
      erase();
      stream.write(`${formatHappening(happening, palette)}\n`);
      draw();
    },
    close: () => {
      clearInterval(timer);
      erase();
      stream.write(SHOW_CURSOR);
    },
  };
}

function createLineScreen({ stream, world, devices, palette }: ScreenOptions): Screen {
  const timer = setInterval(() => void stream.write(`${renderLine(world, devices)}\n`), LINE_MS);
  return {
    note: (happening) => void stream.write(`${formatHappening(happening, palette)}\n`),
    close: () => clearInterval(timer),
  };
}

export function formatHappening({ atMs, text }: Happening, palette: Palette): string {
  return `${palette.dim(`${(atMs / 1_000).toFixed(1).padStart(6)} s`)}  ${text}`;
}

const BAR_CELLS = 44;

/** The block of a terminal: at most 80 columns, and always the same lines in the same order. */
export function renderBlock(options: { world: World; devices: number; palette: Palette }): string[] {
  const { world, devices, palette } = options;
  const running = Object.entries(world.fleet?.fleet.running ?? {}).toSorted(([left], [right]) =>
    compareVersions(left, right),
  );
  const adoption = running.map(([version, number]) => {
    const isOffered = version === world.channelVersion;
    const cells = bar(number / devices, BAR_CELLS);
    const label = version.slice(0, 8).padEnd(9);
    return `  ${isOffered ? palette.bold(label) : label}${isOffered ? palette.accent(cells) : palette.dim(cells)} ${count(number).padStart(7)} ${percent(number / devices).padStart(8)}`;
  });
  return [
    "",
    `  ${palette.dim(world.phase.slice(0, 76))}`,
    ...adoption,
    ...evidenceLines(world, palette),
    `  ${palette.dim(reportsLine(world))}`,
  ];
}

function evidenceLines(world: World, palette: Palette): string[] {
  const signal = newestSignal(world.releases, world.channelVersion);
  if (signal === undefined) return [];
  const { failures, trials, evidence_log10: evidence, threshold_log10: threshold } = signal;
  const rate = trials === 0 ? 0 : failures / trials;
  const isOver = evidence >= threshold;
  const share = Math.max(0, evidence) / threshold;
  const paint = isOver ? palette.bad : rate > LIMIT ? palette.accent : palette.good;
  return [
    `  evidence ${paint(bar(share, BAR_CELLS))} ${formatEvidence(evidence).padStart(7)} of ${formatEvidence(threshold)}`,
    `  ${`failed ${count(failures)} of ${count(trials)} attempts of ${signal.version}: ${percent(rate)}`.padEnd(52)} limit ${percent(LIMIT)}`,
  ];
}

function newestSignal(
  releases: readonly ReleaseStatus[],
  version: string | undefined,
): (SignalNumbers & { version: string }) | undefined {
  const release = releases.find((one) => one.version === version);
  const signal = release?.verdict.signals.find((one) => one.signal === "update_failure");
  return release === undefined || signal === undefined ? undefined : { ...signal, version: release.version };
}

/** log10 of an e-value as people read odds: `100:1`, and powers of ten beyond. */
export function formatEvidence(log10: number): string {
  if (log10 < -2) return "< 0.01";
  if (log10 < 0) return (10 ** log10).toFixed(2);
  if (log10 < 6) return count(Math.round(10 ** log10));
  return `10^${log10.toFixed(1)}`;
}

function reportsLine({ fleet }: World): string {
  if (fleet === undefined) return "no reports yet";
  const { accepted, waiting, retries } = fleet.reports;
  const again = retries === 0 ? "" : `, ${count(retries)} requests sent again`;
  return `${count(accepted)} reports acknowledged, ${count(waiting)} under way${again}`;
}

const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"] as const;

/** A bar of `cells` columns, filled to `ratio` (clamped to 0..1) in eighths of a column. */
export function bar(ratio: number, cells: number): string {
  const eighths = Math.round(Math.min(Math.max(ratio, 0), 1) * cells * 8);
  const full = "█".repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8]!;
  return full.padEnd(cells, "·");
}

/** One line for logs and pipes. */
export function renderLine(world: World, devices: number): string {
  const running = Object.entries(world.fleet?.fleet.running ?? {})
    .toSorted(([left], [right]) => compareVersions(left, right))
    .map(([version, number]) => `${version} ${percent(number / devices, 0)}`)
    .join(", ");
  const signal = newestSignal(world.releases, world.channelVersion);
  const evidence =
    signal === undefined
      ? ""
      : `; ${signal.version} failed ${count(signal.failures)} of ${count(signal.trials)}, evidence ${formatEvidence(signal.evidence_log10)} of ${formatEvidence(signal.threshold_log10)}`;
  return `          ${running === "" ? world.phase : running}${evidence}`;
}
