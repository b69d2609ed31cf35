// Whether a rollback helped: devices have to leave the condemned version, and no others may still take it up. Pure.
// Enters: how many ran it when the OTA server had answered, how many run it now, who began to install it since.
// Leaves: watching, effective or not effective, with a sentence.
import type { FollowUpKind } from "./decision-record.ts";

/** Updates that were under way, and clocks of devices that are off, in milliseconds. */
export const UNDER_WAY_MS = 15 * 60_000;
/** Of those that ran it, at most this share may be left for the rollback to count as effective. */
export const LEFT_SHARE_MAX = 0.5;
/** Devices that take a version up after its rollback, from which on that is no stray. */
export const STILL_TAKEN_UP_DEVICES = 5;

export interface FollowUpFacts {
  readonly version: string;
  readonly target: string;
  readonly runningAtAct: number;
  readonly runningNow: number;
  /** Devices that began to install the version later than UNDER_WAY_MS after the server's answer. */
  readonly takenUpSince: number;
  /** Of those that had ever tried it when the server answered. */
  readonly attemptedAtAct: number;
  readonly actedAtMs: number;
  /** How long devices get, in milliseconds. */
  readonly followUpMs: number;
  readonly nowMs: number;
}

export function judgeFollowUp(facts: FollowUpFacts): {
  readonly kind: FollowUpKind;
  readonly detail: string;
} {
  const { version, target, runningAtAct, runningNow, takenUpSince, actedAtMs, followUpMs, nowMs } = facts;
  const strays = Math.max(STILL_TAKEN_UP_DEVICES, facts.attemptedAtAct / 100);
  if (takenUpSince >= strays)
    return {
      kind: "not_effective",
      detail: `${takenUpSince} devices began to install ${version} after it was rolled back: the OTA server, or a cache before it, still gives it out.`,
    };
  const ran = `${runningNow} of ${runningAtAct} devices still run ${version}`;
  const isOver = nowMs - actedAtMs >= UNDER_WAY_MS;
  if (runningAtAct === 0)
    return isOver
      ? { kind: "effective", detail: `No device runs ${version}, and none takes it up any more.` }
      : { kind: "watching", detail: `No device ran ${version}; waiting whether one still takes it up.` };
  if (runningNow <= runningAtAct * LEFT_SHARE_MAX)
    return { kind: "effective", detail: `${ran}; devices return to ${target}.` };
  if (nowMs - actedAtMs >= followUpMs)
    return {
      kind: "not_effective",
      detail: `${ran}: devices do not return to ${target}. Do they ask for updates, and is going back allowed?`,
    };
  return { kind: "watching", detail: `${ran}.` };
}
