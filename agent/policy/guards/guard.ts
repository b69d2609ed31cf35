// What a guard answers. A guard is a pure function of the situation, in a file of its own; a refusal has
// a reason code and a sentence that says what would have to change.
import type { DecisionReason, Guard } from "../decision.ts";
import type { Situation } from "../situation.ts";

export type GuardAnswer =
  | { readonly kind: "pass" }
  | {
      readonly kind: "refuse";
      readonly guard: Guard;
      readonly reason: DecisionReason;
      readonly sentence: string;
    };

export type GuardCheck = (situation: Situation) => GuardAnswer;

export const PASS: GuardAnswer = { kind: "pass" };
