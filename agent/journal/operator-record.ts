// What an operator did, as it is kept in the journal: of what takes time, asked for before anything is touched, so that a
// crash half-way hides nothing, and done, with how many. Field names are a promise to users.
import type { JournalDraft } from "./journal-entry.ts";

export const LETTER_ACTIONS = ["dead_letters_redrive", "dead_letters_discard"] as const;
export type LetterAction = (typeof LETTER_ACTIONS)[number];

export const OPERATOR_ACTIONS = [
  ...LETTER_ACTIONS,
  "rollback",
  "pause",
  "approve",
  "reject",
  "freeze",
  "unfreeze",
  "absolve",
] as const;
export type OperatorAction = (typeof OPERATOR_ACTIONS)[number];

export interface LettersRecord {
  /** Name of the operator, or `local` where none are configured. */
  readonly operator: string;
  readonly action: LetterAction;
  readonly stage: "asked" | "done" | "broken_off";
  /** How many: as asked (`all` or a number), or as done; null when it broke off, as nobody can say. */
  readonly letters: number | "all" | null;
}

/** Written in one step with what it does, or instead of it: then `refused` says with which code. */
export interface ActRecord {
  readonly operator: string;
  readonly action: Exclude<OperatorAction, LetterAction>;
  readonly stage: "done" | "refused";
  readonly app?: string;
  readonly channel?: string;
  readonly version?: string;
  readonly target?: string;
  readonly decision_id?: string;
  readonly freeze_id?: string;
  /** The person's own words. */
  readonly reason: string | null;
  /** Guards that spoke against it and were overruled. */
  readonly overruled?: readonly string[];
  /** The error's code, where it was refused. */
  readonly code?: string;
}

export function operatorDraft(record: LettersRecord | ActRecord, nowMs: number): JournalDraft {
  return { kind: "operator", at: new Date(nowMs).toISOString(), body: { ...record } };
}
