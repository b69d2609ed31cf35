// An Absolution is a person's word that a release is not to blame for what happened so far: it is judged by what happens
// from then on. Each one costs: the release's false-rollback budget is halved, since every fresh start is another chance
// to be wrong (policy-anchors 5.6: a reset costs alpha, and is audited). Pure.
export interface Absolution {
  readonly by: string;
  readonly reason: string;
  /** RFC 3339; of the newest one. */
  readonly at: string;
  /** How often it was absolved, this one included. */
  readonly times: number;
}

export function budgetAfter(budget: number, absolution: Absolution | undefined): number {
  return budget / 2 ** (absolution?.times ?? 0);
}

/** Windows before it do not count; minutes since the epoch. */
export function judgedSinceMinute(absolution: Absolution | undefined): number {
  return absolution === undefined ? 0 : Math.ceil(Date.parse(absolution.at) / 60_000);
}
