// The `codepush` adapter against its double: the common contract, then what only this make has: a rollback is a new release
// of old content, targets that the server can't go back to, answers in text, two families of servers. What the
// double itself must reproduce: codepush-double.test.ts.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { ChannelState, OtaServer, RollbackRequest } from "../../agent/rollback/ota-server.ts";
import { UPLOAD_TIME_MS_MAX, createCodePushOtaServer } from "../../agent/rollback/servers/codepush.ts";
import { appIdSchema, channelSchema, versionSchema } from "../../ingest/contract/release-key.ts";
import type { Channel, ChannelKey } from "../../ingest/contract/release-key.ts";
import { systemClock } from "../../runtime/clock.ts";
import { HISTORY_MAX, createCodePushDouble } from "../doubles/codepush.ts";
import type { CodePushDouble, CodePushDoubleOptions, CodePushFault } from "../doubles/codepush.ts";
import { startJsonDouble } from "../support/json-double.ts";
import { otaServerContract } from "./ota-server.ts";
import type { NeutralFault, OtaServerHarness } from "./ota-server.ts";
import { toWireFault } from "./wire-faults.ts";

const ACCESS_KEY = "example-access-key";
const DEPLOYMENT_KEY = "KEYA";
const TIMEOUT_MS = 300;
const label = (text: string) => versionSchema.parse(text);
const key: ChannelKey = {
  app: appIdSchema.parse("com.acme.till"),
  channel: channelSchema.parse("production"),
};

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

interface Running {
  readonly double: CodePushDouble;
  readonly url: string;
  readonly stop: () => Promise<void>;
}

/** With v1, v2 and v3, of which each has content of its own. */
async function start(options: Partial<CodePushDoubleOptions> = {}): Promise<Running> {
  let nowMs = systemClock() - 3 * 86_400_000;
  const double = createCodePushDouble({
    app: "till",
    deployment: "Production",
    deploymentKey: DEPLOYMENT_KEY,
    accessKey: ACCESS_KEY,
    clock: () => (nowMs += 3_600_000),
    ...options,
  });
  for (const hash of ["hash-1", "hash-2", "hash-3"]) double.release(hash);
  const server = createServer(double.express);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> =>
    (stopped ??= new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }));
  cleanups.push(stop);
  return { double, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, stop };
}

function adapter(url: string, accessKey = ACCESS_KEY): OtaServer {
  return createCodePushOtaServer({
    url,
    accessKey,
    app: "till",
    deployments: new Map([["production" as Channel, "Production"]]),
    timeoutMs: TIMEOUT_MS,
    clock: systemClock,
  });
}

function toFault(fault: NeutralFault): CodePushFault {
  return toWireFault(fault, {
    hangMs: TIMEOUT_MS * 3,
    anotherVersion: (version) => ({ kind: "another_label" as const, label: version }),
  });
}

/** The servers that this API is spoken by. */
const FAMILIES: readonly (readonly [name: string, options: Partial<CodePushDoubleOptions>])[] = [
  ["codepush, as Microsoft's server", {}],
  ["codepush, as lisong's server", { isOfLisong: true }],
];

for (const [name, options] of FAMILIES)
  otaServerContract(
    name,
    async (): Promise<OtaServerHarness> => {
      const { double, url, stop } = await start(options);
      const elsewhere = await startJsonDouble();
      return {
        server: adapter(url),
        stranger: adapter(url, "another-access-key"),
        key,
        publish: (version) => void double.release(`hash-${version.slice(1)}`),
        fault: (call, fault) => double.fault(call === "read" ? "history" : "rollback", toFault(fault)),
        acts: () => double.rollbacks(),
        strayRequests: () => elsewhere.requests.length,
        elsewhere: elsewhere.url,
        stopServer: stop,
        async dispose() {
          await stop();
          await elsewhere.close();
        },
      };
    },
    {
      older: label("v1"),
      old: label("v2"),
      new: label("v3"),
      newer: label("v4"),
      neverReleased: label("v99"),
    },
  );

async function stateOf(server: OtaServer): Promise<ChannelState> {
  const answer = await server.readChannel(key);
  if (answer.kind !== "channel") throw new Error(answer.detail);
  return answer.state;
}

const shown = ({ version, releases }: ChannelState): string =>
  [version, ...releases.map((each) => [each.version, ...(each.sameAs ?? [])].join("="))].join(" ");

const request = (fields: Partial<RollbackRequest> = {}): RollbackRequest => ({
  decisionId: "rb_1",
  ...key,
  from: label("v3"),
  to: label("v2"),
  reason: "8 % échouent",
  ...fields,
});
const detailOf = (answer: object): string => ("detail" in answer ? String(answer.detail) : "");

describe("a rollback is a new release of old content", () => {
  it("under the next label, at 100 %, and each content is told once, by its newest name", async () => {
    const { double, url } = await start();
    const server = adapter(url);
    expect(shown(await stateOf(server))).toBe("v3 v3 v2 v1");
    expect(await server.rollback(request())).toEqual({ kind: "done", version: "v4" });
    expect(shown(await stateOf(server))).toBe("v4 v4=v2 v3 v1");
    expect(double.history.at(-1)).toMatchObject({
      label: "v4",
      originalLabel: "v2",
      packageHash: "hash-2",
      rollout: null,
    });
  });

  it("does not go to and fro: the second goes back further, not to the bad one", async () => {
    const { url } = await start();
    const server = adapter(url);
    await server.rollback(request());
    expect(await server.rollback(request({ from: label("v4"), to: label("v1") }))).toEqual({
      kind: "done",
      version: "v5",
    });
    expect(shown(await stateOf(server))).toBe("v5 v5=v1 v4=v2 v3");
  });

  it("that a person made meanwhile is known by its content: nothing more is done", async () => {
    const { double, url } = await start();
    double.release("hash-2", { releaseMethod: "Rollback", originalLabel: "v2" });
    expect(await adapter(url).rollback(request())).toEqual({ kind: "done", version: "v4" });
    expect(double.rollbacks()).toBe(0);
  });
});

describe("what can't be gone back to", () => {
  it("a disabled release is no target: it would make a disabled one", async () => {
    const { double, url } = await start();
    double.history[1]!.isDisabled = true;
    const server = adapter(url);
    expect(shown(await stateOf(server))).toBe("v3 v3 v1");
    const answer = await server.rollback(request());
    expect([answer.kind, detailOf(answer)]).toEqual([
      "refused",
      expect.stringMatching(/v2 is disabled.*enable it/),
    ]);
    expect(double.rollbacks()).toBe(0);
  });

  it("a release for other store versions is none: the server compares the text", async () => {
    const { double, url } = await start();
    double.history[1]!.appVersion = "^1.2.0";
    const server = adapter(url);
    expect(shown(await stateOf(server))).toBe("v3 v3 v1");
    const answer = await server.rollback(request());
    expect([answer.kind, detailOf(answer)]).toEqual(["refused", expect.stringMatching(/\^1\.2\.0.*1\.2\.0/)]);
    expect(double.rollbacks()).toBe(0);
  });

  it("nothing is, while the newest release is for other store versions, though it is disabled", async () => {
    const { double, url } = await start();
    double.release("hash-4", { appVersion: "1.3.0", isDisabled: true });
    const server = adapter(url);
    expect(shown(await stateOf(server))).toBe("v3 v3");
    const answer = await server.rollback(request());
    expect([answer.kind, detailOf(answer)]).toEqual([
      "refused",
      expect.stringMatching(/v2 is for the store versions 1\.2\.0, and v4 for 1\.3\.0.*by hand/),
    ]);
    expect(double.rollbacks()).toBe(0);
    // Of the same store versions it is in nobody's way.
    double.history.at(-1)!.appVersion = "1.2.0";
    expect(await server.rollback(request())).toEqual({ kind: "done", version: "v5" });
  });

  it("a release that the server no longer keeps is none", async () => {
    const { double, url } = await start();
    for (let number = 4; number <= HISTORY_MAX; number += 1) double.release(`hash-${number}`);
    const server = adapter(url);
    const from = label(`v${HISTORY_MAX + 1}`);
    expect((await stateOf(server)).releases).toHaveLength(HISTORY_MAX);
    double.release("hash-51");
    const { version, releases } = await stateOf(server);
    expect([version, releases.length, releases.at(-1)?.version]).toEqual([from, HISTORY_MAX, "v2"]);
    const answer = await server.rollback(request({ from, to: label("v1") }));
    expect([answer.kind, detailOf(answer)]).toEqual(["refused", expect.stringMatching(/has no v1: .*50/)]);
  });

  it("what is offered is the newest that is enabled, be it to a part of the devices", async () => {
    const { double, url } = await start();
    double.release("hash-4", { rollout: 20 });
    expect((await stateOf(adapter(url))).version).toBe("v4");
    double.history.at(-1)!.isDisabled = true;
    expect((await stateOf(adapter(url))).version).toBe("v3");
    for (const each of double.history) each.isDisabled = true;
    expect(await stateOf(adapter(url))).toEqual({ version: null, releases: [] });
    expect(await adapter(url).rollback(request())).toMatchObject({ kind: "stale" });
  });
});

describe("what the server answers in words", () => {
  it.each([
    ["a wrong access key", "another-key", key, /401.*access_key/],
    [
      "a deployment that is not there",
      ACCESS_KEY,
      { ...key, channel: channelSchema.parse("beta") },
      /404.*beta.*deployment's name/,
    ],
  ])("%s is refused with the remedy", async (_name, accessKey, channel, words) => {
    const { url } = await start();
    const answer = await adapter(url, accessKey).readChannel(channel);
    expect([answer.kind, detailOf(answer)]).toEqual(["refused", expect.stringMatching(words)]);
  });

  it("409 while it still offers the bad release is refused, with its words", async () => {
    const { double, url } = await start();
    double.fault("rollback", { kind: "error", status: 409, text: "Cannot perform rollback: locked." });
    const answer = await adapter(url).rollback(request());
    expect([answer.kind, detailOf(answer)]).toEqual([
      "refused",
      expect.stringMatching(/409: Cannot perform rollback: locked/),
    ]);
  });

  it("a rollback that was told and not made is not believed: the channel is still on the bad release", async () => {
    const { double, url } = await start({ isOfLisong: true });
    double.fault("rollback", { kind: "says_ok_and_does_nothing" });
    expect(await adapter(url).rollback(request())).toEqual({ kind: "done", version: "v3" });
    expect(double.rollbacks()).toBe(0);
  });

  it("a release of no time that there is makes the answer one that nobody can read", async () => {
    const { double, url } = await start();
    double.history[0]!.uploadTime = UPLOAD_TIME_MS_MAX;
    expect((await stateOf(adapter(url))).releases.at(-1)?.releasedAt).toBe("+275760-09-13T00:00:00.000Z");
    double.history[0]!.uploadTime = UPLOAD_TIME_MS_MAX + 1_000;
    const answer = await adapter(url).readChannel(key);
    expect([answer.kind, detailOf(answer)]).toEqual(["unavailable", expect.stringMatching(/uploadTime/)]);
  });
});
