// The channel must offer the accused release, and we must know that it does.
import { expect, it } from "vitest";
import { stillCurrent } from "../../../../../agent/policy/guards/still-current.ts";
import type { GuardAnswer } from "../../../../../agent/policy/guards/guard.ts";
import type { ChannelView } from "../../../../../agent/policy/situation.ts";
import { sampleSituation, version } from "../../../../support/verdicts.ts";

function answerFor(channel: ChannelView): GuardAnswer {
  return stillCurrent(sampleSituation({ channel }));
}

it("passes while the channel offers the accused release", () => {
  expect(answerFor({ kind: "known", version: version("1.4.0"), releases: [] })).toEqual({ kind: "pass" });
});

it("refuses when the channel offers another version, or a spelling that is not the same text", () => {
  expect(answerFor({ kind: "known", version: version("1.4.1"), releases: [] })).toEqual({
    kind: "refuse",
    guard: "still_current",
    reason: "channel_moved_on",
    sentence: "The channel offers 1.4.1, not 1.4.0 any more: there is nothing to roll back.",
  });
  expect(answerFor({ kind: "known", version: version("v1.4.0"), releases: [] })).toMatchObject({
    reason: "channel_moved_on",
  });
});

it("refuses when the channel offers nothing", () => {
  expect(answerFor({ kind: "known", version: null, releases: [] })).toMatchObject({
    reason: "channel_moved_on",
    sentence: expect.stringContaining("offers nothing"),
  });
});

it("refuses what cannot be seen, and says why in the server's words", () => {
  expect(answerFor({ kind: "unavailable", detail: "connect ECONNREFUSED" })).toEqual({
    kind: "refuse",
    guard: "still_current",
    reason: "ota_server_unavailable",
    sentence: "The OTA server could not be asked what the channel offers: connect ECONNREFUSED",
  });
  expect(answerFor({ kind: "refused", detail: "401" })).toMatchObject({
    guard: "still_current",
    reason: "ota_server_refused",
  });
});
