// The release must be what is at fault: a limit that is broken on every version alike is broken by a backend or a
// network, and rolling back would not mend it. Nothing is touched; a person must look.
import { PASS } from "./guard.ts";
import type { GuardCheck } from "./guard.ts";

export const versionAtFault: GuardCheck = ({ verdict }) =>
  verdict.reason === "environment"
    ? { kind: "refuse", guard: "version_at_fault", reason: "environment", sentence: verdict.sentence }
    : PASS;
