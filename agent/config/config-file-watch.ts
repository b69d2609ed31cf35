// Looks at a configuration file again and again, because what tells of changes is not there on every file system. Enters:
// the file. Leaves: its text whenever it is another one, or why it can't be read. Text is only told once it has stood still
// for a moment: an editor or a copy may be half-way.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { sleep } from "../../runtime/clock.ts";
import { unreadableFile } from "../../runtime/config-file.ts";
import type { ConfigProblem } from "../../runtime/config-file.ts";

/** How often the file is looked at, in milliseconds. */
export const CONFIG_POLL_MS = 2_000;
/** A changed file must stay the same for so long before it is read as a whole, in milliseconds. */
export const CONFIG_SETTLE_MS = 200;
/** A file that never stands still is told all the same after so many looks. */
const SETTLE_LOOKS_MAX = 10;

export type FileContent =
  | { readonly kind: "text"; readonly text: string; readonly sha256: string }
  | { readonly kind: "unreadable"; readonly problem: ConfigProblem };

export interface ConfigFileWatch {
  start(): void;
  /** Looks now, and tells the content whether it has changed or not. */
  lookNow(): Promise<void>;
  /** Waits for what is being told. */
  stop(): Promise<void>;
}

export interface ConfigFileWatchOptions {
  readonly file: string;
  readonly pollMs?: number;
  readonly settleMs?: number;
  /** One after the other. When it fails the content is told again at the next look. */
  readonly onContent: (content: FileContent) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

export function watchConfigFile(options: ConfigFileWatchOptions): ConfigFileWatch {
  const { file, pollMs = CONFIG_POLL_MS, settleMs = CONFIG_SETTLE_MS, onContent, onError } = options;
  let told: string | undefined;
  let looks: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  const look = async (isAsked: boolean): Promise<void> => {
    const first = await readContent(file);
    const isKnown = identityOf(first) === told;
    if (isKnown && !isAsked) return;
    const content = isKnown ? first : await settled(first, { file, settleMs });
    if (identityOf(content) === told && !isAsked) return;
    await onContent(content);
    told = identityOf(content);
  };
  const inTurn = (isAsked: boolean): Promise<void> => {
    looks = looks.then(() => look(isAsked)).catch(onError);
    return looks;
  };
  return {
    start: () => {
      void inTurn(false);
      let isLooking = false;
      timer = setInterval(() => {
        if (isLooking) return;
        isLooking = true;
        void inTurn(false).finally(() => void (isLooking = false));
      }, pollMs);
    },
    lookNow: () => inTurn(true),
    stop: async () => {
      clearInterval(timer);
      await looks;
    },
  };
}

/** Looked at until two looks agree. */
async function settled(
  first: FileContent,
  { file, settleMs }: { readonly file: string; readonly settleMs: number },
): Promise<FileContent> {
  let content = first;
  for (let looks = 0; looks < SETTLE_LOOKS_MAX; looks += 1) {
    await sleep(settleMs);
    const next = await readContent(file);
    if (identityOf(next) === identityOf(content)) return next;
    content = next;
  }
  return content;
}

function identityOf(content: FileContent): string {
  return content.kind === "text" ? content.sha256 : content.problem.message;
}

async function readContent(file: string): Promise<FileContent> {
  try {
    const bytes = await readFile(file);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    return { kind: "text", text: bytes.toString("utf8"), sha256 };
  } catch (error) {
    return { kind: "unreadable", problem: unreadableFile(file, error as NodeJS.ErrnoException) };
  }
}
