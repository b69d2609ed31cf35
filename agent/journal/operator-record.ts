// What an operator did, as it is kept in the journal: asked for before anything is touched, so that a crash
// half-way hides nothing, and done, with how many. Field names are a promise to users.
import type { JournalDraft } from "./journal-entry.ts";

export const OPERATOR_ACTIONS = ["dead_letters_redrive", "dead_letters_discard"] as const;
export type OperatorAction = (typeof OPERATOR_ACTIONS)[number];

export interface OperatorRecord {
  /** Name of the operator, or `local` where none are configured. */
  readonly operator: string;
  readonly action: OperatorAction;
  readonly stage: "asked" | "done" | "broken_off";
  /** How many: as asked (`all` or a number), or as done; null when it broke off, as nobody can say. */
  readonly letters: number | "all" | null;
}

export function operatorDraft(record: OperatorRecord, nowMs: number): JournalDraft {
  return { kind: "operator", at: new Date(nowMs).toISOString(), body: { ...record } };
}
