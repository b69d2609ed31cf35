// The contract's neutral faults in the words of the doubles. Enters: a fault, how long a hang is, and what the double calls
// another version. Leaves: what it is told.
import { ANSWER_BYTES_MAX } from "../../agent/rollback/http-call.ts";
import type { Version } from "../../ingest/contract/release-key.ts";
import type { WireFault } from "../doubles/wire-fault.ts";
import type { NeutralFault } from "./ota-server.ts";

export function toWireFault<F>(
  fault: NeutralFault,
  { hangMs, anotherVersion }: { readonly hangMs: number; readonly anotherVersion: (version: Version) => F },
): WireFault | F {
  switch (fault.kind) {
    case "server_error":
      return { kind: "error", status: 500 };
    case "rate_limited":
    case "redirect":
      return fault;
    case "hangs":
      return { kind: "late", ms: hangMs };
    case "acts_but_answer_is_lost":
      return { kind: "lost_answer" };
    case "garbage_answer":
      return { kind: "garbage" };
    case "oversize_answer":
      return { kind: "oversize", bytes: ANSWER_BYTES_MAX + 1 };
    case "sets_another_version":
      return anotherVersion(fault.version);
    default:
      return fault satisfies never;
  }
}
