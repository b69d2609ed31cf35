// Faults that the simulated OTA server can be told to have, by code or by `POST /faults`. Enters: a list
// of faults. Leaves: for each request the fault that it meets, each as often as it was asked for.
import { z } from "zod";
import { versionSchema } from "../../ingest/contract/release-key.ts";

const times = z.int().min(1).max(1_000_000).default(1);
/** Which calls meet it: the rollback, the pause, the reading of a channel (devices read too), or both of the first and last. */
const on = z.enum(["rollback", "pause", "read", "both"]).default("rollback");

export const faultSchema = z.discriminatedUnion("kind", [
  /** Does what was asked at once, and answers late. */
  z.strictObject({ kind: z.literal("late"), ms: z.int().min(0).max(600_000), times, on }),
  /** Does what was asked, and cuts the connection instead of answering. */
  z.strictObject({ kind: z.literal("lost_answer"), times, on }),
  /** Does nothing, and cuts the connection. */
  z.strictObject({ kind: z.literal("cut"), times, on }),
  /** Does nothing, and answers this status. */
  z.strictObject({ kind: z.literal("error"), status: z.int().min(400).max(599).default(500), times, on }),
  /** Does nothing, and answers 429 with `Retry-After`. */
  z.strictObject({ kind: z.literal("rate_limited"), retry_after_s: z.int().min(0).default(1), times, on }),
  /** Does nothing, and points elsewhere. */
  z.strictObject({ kind: z.literal("redirect"), location: z.string().min(1), times, on }),
  /** Does what was asked, and answers 200 with a body that is not JSON. */
  z.strictObject({ kind: z.literal("garbage"), times, on }),
  /** Does what was asked, and answers 200 with this JSON instead of its own. */
  z.strictObject({ kind: z.literal("answer"), json: z.unknown(), times, on }),
  /** Does what was asked, and answers valid JSON of this many bytes. */
  z.strictObject({ kind: z.literal("oversize"), bytes: z.int().min(1).max(16_777_216), times, on }),
  /** Puts the channel on this version instead of the one asked for, and says so. */
  z.strictObject({ kind: z.literal("another_version"), version: versionSchema, times, on }),
]);

export type Fault = z.infer<typeof faultSchema>;
export type FaultInput = z.input<typeof faultSchema>;
export type FaultyCall = "rollback" | "pause" | "read";

export interface FaultPlan {
  /** Replaces what was planned; an empty list heals the server. */
  set(faults: readonly FaultInput[]): void;
  /** The fault that this call meets, if any: the first of the list that fits and has not run out. */
  next(call: FaultyCall): Fault | undefined;
}

export function createFaultPlan(): FaultPlan {
  let planned: { readonly fault: Fault; left: number }[] = [];
  return {
    set(faults) {
      planned = faults
        .map((input) => faultSchema.parse(input))
        .map((fault) => ({ fault, left: fault.times }));
    },
    next(call) {
      const met = planned.find(
        ({ fault, left }) => left > 0 && (fault.on === call || (fault.on === "both" && call !== "pause")),
      );
      if (met === undefined) return undefined;
      met.left -= 1;
      return met.fault;
    },
  };
}
