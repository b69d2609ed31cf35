// Waits until a program of Prometheus' family that a test has started answers, or says why it never will. Enters: where it
// listens, its end, and what it has said. Leaves: nothing, once it is ready.
import { waitUntil } from "./wait-until.ts";

const READY_MS_MAX = 20_000;

export interface StartedProgram {
  readonly name: string;
  readonly url: string;
  /** Settles when the process is gone. */
  readonly exited: Promise<unknown>;
  readonly said?: () => string;
}

export async function untilReady({ name, url, exited, said = () => "" }: StartedProgram): Promise<void> {
  const isReady = (): Promise<boolean> =>
    fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  const died = exited.then(() => Promise.reject(new Error(`${name} ended before it was ready: ${said()}`)));
  // Once it was ready, its end is what a stop waits for.
  died.catch(() => {});
  await Promise.race([waitUntil(isReady, (ready) => ready, READY_MS_MAX), died]);
}
