// `guards: { known_devices: 50% }`: whoever has the ingest key can invent device ids, and have a thousand of them fail. So
// it is asked who accuses: at least this share must be devices that Lastgood had heard of before the release appeared.
import { shareOf } from "../../judge/known-devices.ts";
import { describeFailure } from "../../judge/signals.ts";
import type { AccusingRule } from "../../judge/verdict.ts";
import type { Situation } from "../situation.ts";
import { PASS } from "./guard.ts";
import type { GuardAnswer } from "./guard.ts";

const DAY_MS = 24 * 3_600_000;

/**
 * One rule that known devices speak by is enough. An alert of the user's own, and a release that was condemned before and
 * is offered again, rest on no devices that could be told apart.
 */
export const knownDevices = ({
  policy,
  verdict,
  cause,
}: Pick<Situation, "policy" | "verdict" | "cause">): GuardAnswer => {
  const { knownDevicesLeast } = policy.guards;
  const [first, ...others] = verdict.accusing;
  if (knownDevicesLeast === 0 || cause !== "evidence" || first === undefined) return PASS;
  const best = others.reduce((left, right) => (knownShare(right) > knownShare(left) ? right : left), first);
  if (knownShare(best) >= knownDevicesLeast) return PASS;
  const asked = `the policy asks for ${percent(knownDevicesLeast)}`;
  return {
    kind: "refuse",
    guard: "known_devices",
    reason: "unknown_devices",
    sentence: `${describe(best, verdict.release.version)}; ${asked}.${describeBeginning(best)}`,
  };
};

/** Of accusers that nobody counted none is known. */
function knownShare({ knownDevices: counted }: AccusingRule): number {
  return counted === undefined ? 0 : shareOf(counted);
}

function describe({ signal, rule, segment, knownDevices: counted }: AccusingRule, version: string): string {
  const done =
    rule === "worse_than_baseline" && signal === "silence"
      ? "were slow to answer, or have not, after they began to take up"
      : describeFailure(signal);
  const of = segment === null ? "" : ` (${segment})`;
  if (counted === undefined || counted.devices === 0)
    return `It is not known which devices${of} ${done} ${version}, so none of them counts as known`;
  const { devices, known, releaseDay } = counted;
  return (
    `Of ${count(devices)} ${devices === 1 ? "device" : "devices"}${of} that ${done} ${version}, ${count(known)} ` +
    `(${percent(known / devices)}) had been seen before the day on which ${version} appeared (${dateOf(releaseDay)}, UTC)`
  );
}

/** A new installation knows nobody: it is not the devices' fault, and the next release can be judged. */
function describeBeginning({ knownDevices: counted }: AccusingRule): string {
  if (counted === undefined || counted.listeningDay < counted.releaseDay) return "";
  return (
    ` Lastgood itself began to listen on ${dateOf(counted.listeningDay)}, so it can have seen nobody before: act by hand ` +
    "if the devices are yours. For releases that appear on a later day they will be known."
  );
}

/** 5310 -> "5,310". */
function count(devices: number): string {
  return String(devices).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Rounded down: what is too little must not look like enough. */
function percent(ratio: number): string {
  return `${Math.floor(Number((ratio * 1_000).toFixed(6))) / 10}%`;
}

function dateOf(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}
