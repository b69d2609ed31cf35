// What is said of channels at the start: each finding once, and nothing where all is well.
import { expect, test } from "vitest";
import { checkChannels } from "../../../agent/preflight-channels.ts";
import type { WatchedChannel } from "../../../agent/jobs/watched-channel.ts";
import type { ChannelAnswer, OtaServer } from "../../../agent/rollback/ota-server.ts";
import { TILL, samplePolicy, version } from "../../support/verdicts.ts";

function offering(current: string | null, ...texts: string[]): ChannelAnswer {
  const releases = texts.map((text) => ({ version: version(text), releasedAt: "2026-01-31T12:00:00Z" }));
  return { kind: "channel", state: { version: current === null ? null : version(current), releases } };
}

async function findings(
  answer: ChannelAnswer,
  fields: Partial<WatchedChannel> = {},
  had?: readonly string[],
): Promise<string[]> {
  const server = {
    type: "hand-made",
    capabilities: { rollback: true, pause: false },
    readChannel: () => Promise.resolve(answer),
  } as unknown as OtaServer;
  const watched = { key: TILL, policy: samplePolicy(), minimumVersion: undefined, server, ...fields };
  return checkChannels([watched], () => Promise.resolve(had?.map(version)));
}

test("nothing where there is a release to go back to, where nothing is offered, and where only a person acts", async () => {
  expect(await findings(offering("1.4.0", "1.4.0", "1.3.0"))).toEqual([]);
  expect(await findings(offering(null))).toEqual([]);
  expect(await findings(offering("1.4.0", "1.4.0"), { policy: samplePolicy({ action: "page" }) })).toEqual(
    [],
  );
});

test("of a server that keeps no history: what Lastgood saw on the channel counts, and not all that is listed", async () => {
  const answer = offering("1.4.0", "1.5.0-beta.1", "1.4.0", "1.4.0-beta.9", "1.3.0");
  expect(await findings(answer, {}, ["1.4.0", "1.3.0"])).toEqual([]);
  const nothing = [
    expect.stringMatching(/keeps no history.*has not seen another release there before 1\.4\.0/),
  ];
  expect(await findings(answer, {}, ["1.4.0"])).toEqual(nothing);
  // It was there, and has been deleted since.
  expect(await findings(answer, {}, ["1.4.0", "1.2.0"])).toEqual(nothing);
});

test("a channel that can't be paused as it is now, at a server that can pause", async () => {
  const { state } = offering("1.4.0", "1.4.0", "1.3.0") as Extract<ChannelAnswer, { kind: "channel" }>;
  const server = {
    type: "hand-made",
    capabilities: { rollback: true, pause: true },
    readChannel: () => Promise.resolve({ kind: "channel", state: { ...state, pausable: false } }),
  } as unknown as OtaServer;
  const policy = samplePolicy({ action: "pause" });
  expect(await findings({ kind: "channel", state }, { server, policy })).toEqual([
    expect.stringMatching(/asks for pause, which the OTA server can't do on this channel as it is now/),
  ]);
});

test.each([
  [
    "no answer",
    { kind: "unavailable", detail: "ECONNREFUSED" } as const,
    {},
    /does not say what it offers.*ECONNREFUSED/,
  ],
  ["no earlier release", offering("1.4.0", "1.4.0"), {}, /lists no release before 1\.4\.0/],
  ["a version that it does not list", offering("1.4.0", "1.3.0"), {}, /lists no release before 1\.4\.0/],
  [
    "all earlier ones below the minimum",
    offering("1.4.0", "1.4.0", "1.3.0"),
    { minimumVersion: version("1.3.5") },
    /below minimum_version 1\.3\.5/,
  ],
  [
    "an action that it can't do",
    offering("1.4.0", "1.4.0", "1.3.0"),
    { policy: samplePolicy({ action: "pause" }) },
    /asks for pause, which an OTA server of type hand-made can't do/,
  ],
])("%s", async (_name, answer, fields, said) => {
  expect(await findings(answer, fields)).toEqual([expect.stringMatching(said)]);
});
