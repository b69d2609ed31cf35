// One line that says how far a long run is, on stderr, so that stdout is the result alone.
import process from "node:process";

const EVERY_MS = 1_000;
const EVERY_MS_WITHOUT_TERMINAL = 10_000;

export interface Progress {
  /** Says it when the last time was long enough ago. */
  say(line: () => string): void;
  end(): void;
}

export function createProgress(): Progress {
  const { stderr } = process;
  let saidAtMs = 0;
  return {
    say(line) {
      const now = performance.now();
      if (now - saidAtMs < (stderr.isTTY ? EVERY_MS : EVERY_MS_WITHOUT_TERMINAL)) return;
      saidAtMs = now;
      stderr.write(stderr.isTTY ? `\r\u001b[2K${line()}` : `${line()}\n`);
    },
    end() {
      if (stderr.isTTY) stderr.write("\r\u001b[2K");
    },
  };
}
