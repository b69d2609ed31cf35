// Waits for something that happens in another process or on another connection; says what it saw last
// when it never does.
import { sleep } from "../../runtime/clock.ts";

const POLL_MS = 50;

/** Resolves with the first value that `isDone` takes. */
export async function waitUntil<T>(
  read: () => Promise<T> | T,
  isDone: (value: T) => boolean,
  timeoutMs = 20_000,
): Promise<T> {
  const deadlineMs = Date.now() + timeoutMs;
  for (;;) {
    const value = await read();
    if (isDone(value)) return value;
    if (Date.now() > deadlineMs)
      throw new Error(
        `did not happen within ${timeoutMs} ms; seen last: ${JSON.stringify(value)?.slice(0, 2_000)}`,
      );
    await sleep(POLL_MS);
  }
}
