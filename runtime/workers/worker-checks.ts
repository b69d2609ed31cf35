// Whether a program of several processes is ready. Enters: what each worker says of itself; undefined = it does not answer,
// or is being started again. Leaves: the checks of /readyz. Pure. As long as one worker can serve, a balancer has to go on
// sending here: what the others lack is told as a note.
import type { Readiness } from "../http-server.ts";
import type { WorkerChecks } from "./messages.ts";

export function mergeChecks(
  answers: readonly (WorkerChecks | undefined)[],
): Readonly<Record<"redis" | "workers", Readiness>> {
  const answered = answers.filter((answer) => answer !== undefined);
  const counted = `${answered.length} of ${answers.length} answer`;
  if (answered.length === 0) return { redis: undefined, workers: counted };
  return {
    redis: mergeCheck(answered.map((checks) => checks["redis"])),
    workers: answered.length === answers.length ? undefined : { note: counted },
  };
}

function mergeCheck(states: readonly Readiness[]): Readiness {
  const bad = states.find((state) => typeof state === "string");
  if (bad !== undefined) return states.every((state) => typeof state === "string") ? bad : { note: bad };
  return states.find((state) => state !== undefined);
}
