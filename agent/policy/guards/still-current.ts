// The channel must still offer the release that is accused: what is not offered needs no rollback, and
// what cannot be seen must not be changed.
import { PASS } from "./guard.ts";
import type { GuardCheck } from "./guard.ts";

export const stillCurrent: GuardCheck = ({ channel, verdict }) => {
  const { version } = verdict.release;
  if (channel.kind !== "known") {
    return {
      kind: "refuse",
      guard: "still_current",
      reason: channel.kind === "unavailable" ? "ota_server_unavailable" : "ota_server_refused",
      sentence: `The OTA server could not be asked what the channel offers: ${channel.detail}`,
    };
  }
  if (channel.version === version) return PASS;
  return {
    kind: "refuse",
    guard: "still_current",
    reason: "channel_moved_on",
    sentence: `The channel offers ${channel.version ?? "nothing"}, not ${version} any more: there is nothing to roll back.`,
  };
};
