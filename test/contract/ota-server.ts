// What every OTA server adapter must do, run against that make's double. Enters: a name, and a set-up that
// gives a fresh adapter and a handle on its double, with one channel that had OLDER, then OLD, then NEW. A make with
// names of its own (CodePush: v1, v2, ...) gives them as `names`.
// Each test says in which state the server is, what Lastgood asks, and which answer the executor gets.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { offers } from "../../agent/rollback/ota-server.ts";
import type {
  ChannelState,
  OtaServer,
  PauseRequest,
  RollbackAnswer,
  RollbackRequest,
} from "../../agent/rollback/ota-server.ts";
import { channelSchema, versionSchema } from "../../ingest/contract/release-key.ts";
import type { ChannelKey, Version } from "../../ingest/contract/release-key.ts";

export const OLDER = versionSchema.parse("1.2.0");
export const OLD = versionSchema.parse("1.3.0");
export const NEW = versionSchema.parse("1.4.0");
export const NEWER = versionSchema.parse("1.5.0");
export const NEVER_RELEASED = versionSchema.parse("0.9.0");

/** What may go wrong at any make, in words that each harness translates for its double. */
export type NeutralFault =
  | { readonly kind: "server_error" }
  | { readonly kind: "rate_limited"; readonly retryAfterSeconds: number }
  | { readonly kind: "hangs" }
  | { readonly kind: "acts_but_answer_is_lost" }
  | { readonly kind: "garbage_answer" }
  | { readonly kind: "oversize_answer" }
  | { readonly kind: "redirect"; readonly location: string }
  | { readonly kind: "sets_another_version"; readonly version: Version };

export interface OtaServerHarness {
  /** The adapter, rightly configured, with a time-out short enough for a test. */
  readonly server: OtaServer;
  /** The same adapter with credentials that the server does not know. */
  readonly stranger: OtaServer;
  readonly key: ChannelKey;
  /** Somebody releases on the channel, or puts it on an earlier release by hand. */
  publish(version: Version): Promise<void> | void;
  /** Makes of the channel one that can be paused while it offers NEW, where that needs more than offering it. */
  readyToPause?(): Promise<void> | void;
  /** The next call of this kind meets the fault. */
  fault(call: "rollback" | "pause" | "read", fault: NeutralFault): Promise<void> | void;
  /** How often the double moved the channel because Lastgood asked. */
  acts(): Promise<number> | number;
  /** Requests that reached the place which a redirect pointed at. */
  strayRequests(): number;
  /** Where a redirect in a test points. */
  readonly elsewhere: string;
  stopServer(): Promise<void>;
  dispose(): Promise<void>;
}

export interface ReleaseNames {
  readonly older: Version;
  readonly old: Version;
  readonly new: Version;
  readonly newer: Version;
  /** Of the make's own form, and no release of the channel. */
  readonly neverReleased: Version;
}

const NAMES: ReleaseNames = {
  older: OLDER,
  old: OLD,
  new: NEW,
  newer: NEWER,
  neverReleased: NEVER_RELEASED,
};

export function otaServerContract(
  make: string,
  setup: () => Promise<OtaServerHarness>,
  names: ReleaseNames = NAMES,
): void {
  const { older: OLDER, old: OLD, new: NEW, newer: NEWER, neverReleased: NEVER_RELEASED } = names;
  describe(`OTA server contract: ${make}`, () => {
    let harness: OtaServerHarness;
    let lastDecision = 0;
    beforeEach(async () => void (harness = await setup()));
    afterEach(async () => harness.dispose());

    const request = (change: Partial<RollbackRequest> = {}): RollbackRequest => {
      lastDecision += 1;
      const reason = "update_failure: 8 % of devices échouent";
      return {
        decisionId: `decision-${lastDecision}`,
        ...harness.key,
        from: NEW,
        to: OLD,
        reason,
        ...change,
      };
    };
    const channelNow = async (): Promise<ChannelState> => {
      const answer = await harness.server.readChannel(harness.key);
      if (answer.kind !== "channel") throw new Error(`cannot read the channel: ${answer.detail}`);
      return answer.state;
    };
    const versionNow = async (): Promise<Version | null> => (await channelNow()).version;
    /** Done, and the channel offers the release, if only its content under a new name. */
    const expectDone = async (answer: RollbackAnswer, version: Version): Promise<void> => {
      const state = await channelNow();
      expect(offers(state, version)).toBe(true);
      expect(answer).toEqual({ kind: "done", version: state.version });
    };

    describe("reading a channel", () => {
      it("tells the current release and the history, newest first", async () => {
        const answer = await harness.server.readChannel(harness.key);
        if (answer.kind !== "channel") throw new Error(answer.detail);
        expect(answer.state.version).toBe(NEW);
        expect(answer.state.releases.map(({ version }) => version)).toEqual([NEW, OLD, OLDER]);
        const times = answer.state.releases.map(({ releasedAt }) => Date.parse(releasedAt));
        expect(times).toEqual(times.toSorted((left, right) => right - left));
      });

      it("sees a release that was published meanwhile", async () => {
        await harness.publish(NEWER);
        expect(await versionNow()).toBe(NEWER);
      });

      it("refuses a channel that the server does not know", async () => {
        const unknown = { ...harness.key, channel: channelSchema.parse("nowhere") };
        expect(await harness.server.readChannel(unknown)).toMatchObject({ kind: "refused" });
      });

      it.each([
        [{ kind: "server_error" }],
        [{ kind: "hangs" }],
        [{ kind: "acts_but_answer_is_lost" }],
        [{ kind: "garbage_answer" }],
        [{ kind: "oversize_answer" }],
      ] satisfies [NeutralFault][])("is unavailable on %o, and works again afterwards", async (fault) => {
        await harness.fault("read", fault);
        expect(await harness.server.readChannel(harness.key)).toMatchObject({ kind: "unavailable" });
        expect(await versionNow()).toBe(NEW);
      });

      it("passes on how long the server wants to be left alone", async () => {
        await harness.fault("read", { kind: "rate_limited", retryAfterSeconds: 7 });
        expect(await harness.server.readChannel(harness.key)).toMatchObject({
          kind: "unavailable",
          retryAfterMs: 7_000,
        });
      });
    });

    describe("rolling back", () => {
      it("puts the channel on the target", async () => {
        expect(harness.server.capabilities.rollback).toBe(true);
        await expectDone(await harness.server.rollback(request()), OLD);
        expect(await harness.acts()).toBe(1);
      });

      it("goes back more than one release", async () => {
        await expectDone(await harness.server.rollback(request({ to: OLDER })), OLDER);
      });

      it("is stale when the channel has moved on, and leaves it alone", async () => {
        await harness.publish(NEWER);
        expect(await harness.server.rollback(request())).toMatchObject({ kind: "stale" });
        expect(await versionNow()).toBe(NEWER);
        expect(await harness.acts()).toBe(0);
      });

      it("refuses a target that the channel never had", async () => {
        const answer = await harness.server.rollback(request({ to: NEVER_RELEASED }));
        expect(answer).toMatchObject({ kind: "refused" });
        expect(await versionNow()).toBe(NEW);
      });

      it("refuses a channel that the server does not know", async () => {
        const unknown = request({ channel: channelSchema.parse("nowhere") });
        expect(await harness.server.rollback(unknown)).toMatchObject({ kind: "refused" });
      });

      it("is refused with wrong credentials, and nothing happens", async () => {
        expect(await harness.stranger.rollback(request())).toMatchObject({ kind: "refused" });
        expect(await versionNow()).toBe(NEW);
        expect(await harness.acts()).toBe(0);
      });

      it("does it once when the same decision is sent twice", async () => {
        const twice = request();
        await expectDone(await harness.server.rollback(twice), OLD);
        await expectDone(await harness.server.rollback(twice), OLD);
        expect(await harness.acts()).toBe(1);
      });

      it("does it once when the same decision is sent twice at the same time", async () => {
        const twice = request();
        const answers = await Promise.all([harness.server.rollback(twice), harness.server.rollback(twice)]);
        const state = await channelNow();
        expect(offers(state, OLD)).toBe(true);
        expect(answers).toContainEqual({ kind: "done", version: state.version });
        expect(await harness.acts()).toBe(1);
      });

      it("tells which version the channel is really on when that is not the target", async () => {
        await harness.fault("rollback", { kind: "sets_another_version", version: OLDER });
        await expectDone(await harness.server.rollback(request()), OLDER);
      });
    });

    describe("rolling back at a server in trouble", () => {
      it("is unavailable when nobody listens", async () => {
        await harness.stopServer();
        const answer = await harness.server.rollback(request());
        expect(answer).toMatchObject({ kind: "unavailable" });
        expect("detail" in answer && answer.detail).toMatch(/check that the OTA server runs/);
      });

      it.each([[{ kind: "server_error" }], [{ kind: "rate_limited", retryAfterSeconds: 3 }]] satisfies [
        NeutralFault,
      ][])("is unavailable on %o without anything done, and the next try does it", async (fault) => {
        const same = request();
        await harness.fault("rollback", fault);
        expect(await harness.server.rollback(same)).toMatchObject({ kind: "unavailable" });
        expect(await harness.acts()).toBe(0);
        await expectDone(await harness.server.rollback(same), OLD);
      });

      it("passes on how long the server wants to be left alone", async () => {
        await harness.fault("rollback", { kind: "rate_limited", retryAfterSeconds: 3 });
        expect(await harness.server.rollback(request())).toMatchObject({ retryAfterMs: 3_000 });
      });

      it.each([
        [{ kind: "acts_but_answer_is_lost" }],
        [{ kind: "hangs" }],
        [{ kind: "garbage_answer" }],
        [{ kind: "oversize_answer" }],
      ] satisfies [NeutralFault][])(
        "on %o it is unavailable, and the second try does not act again",
        async (fault) => {
          const same = request();
          await harness.fault("rollback", fault);
          expect(await harness.server.rollback(same)).toMatchObject({ kind: "unavailable" });
          await expectDone(await harness.server.rollback(same), OLD);
          expect(await harness.acts()).toBe(1);
        },
      );

      it("does not follow a redirect", async () => {
        await harness.fault("rollback", { kind: "redirect", location: harness.elsewhere });
        expect(await harness.server.rollback(request())).toMatchObject({ kind: "unavailable" });
        expect(harness.strayRequests()).toBe(0);
        expect(await versionNow()).toBe(NEW);
      });
    });
    describe("pausing", () => {
      const pauseRequest = (change: Partial<PauseRequest> = {}): PauseRequest => {
        const { decisionId, app, channel, reason } = request();
        return { decisionId, app, channel, version: NEW, reason, ...change };
      };
      const isPaused = async (): Promise<boolean | undefined> => {
        const answer = await harness.server.readChannel(harness.key);
        if (answer.kind !== "channel") throw new Error(`cannot read the channel: ${answer.detail}`);
        return answer.state.paused;
      };

      it("a make that can't pause says so, and touches nothing", async () => {
        if (harness.server.capabilities.pause) return;
        expect(await harness.server.pause(pauseRequest())).toMatchObject({ kind: "refused" });
        expect([await versionNow(), await harness.acts()]).toEqual([NEW, 0]);
      });

      it("keeps the version on the channel, and shows that it is paused", async () => {
        if (!harness.server.capabilities.pause) return;
        await harness.readyToPause?.();
        expect(await harness.server.pause(pauseRequest())).toEqual({ kind: "done", version: NEW });
        expect(await versionNow()).toBe(NEW);
        expect(await isPaused()).not.toBe(false);
        expect(await harness.acts()).toBe(1);
      });

      it("is refused, with nothing done, exactly where the channel's state says that it can't be paused now", async () => {
        const { pausable = harness.server.capabilities.pause } = await channelNow();
        const { kind } = await harness.server.pause(pauseRequest());
        expect(kind).toBe(pausable ? "done" : "refused");
        expect(await harness.acts()).toBe(pausable ? 1 : 0);
        expect(await versionNow()).toBe(NEW);
      });

      it("is stale when the channel has moved on, and leaves it alone", async () => {
        if (!harness.server.capabilities.pause) return;
        await harness.readyToPause?.();
        await harness.publish(NEWER);
        expect(await harness.server.pause(pauseRequest())).toMatchObject({ kind: "stale" });
        expect(await harness.acts()).toBe(0);
      });

      it("does it once when the same decision is sent twice, also when the first answer was lost", async () => {
        if (!harness.server.capabilities.pause) return;
        await harness.readyToPause?.();
        const same = pauseRequest();
        await harness.fault("pause", { kind: "acts_but_answer_is_lost" });
        expect(await harness.server.pause(same)).toMatchObject({ kind: "unavailable" });
        expect(await harness.server.pause(same)).toEqual({ kind: "done", version: NEW });
        expect(await harness.acts()).toBe(1);
      });

      it("is refused with wrong credentials, and on a channel that the server does not know", async () => {
        expect(await harness.stranger.pause(pauseRequest())).toMatchObject({ kind: "refused" });
        const unknown = pauseRequest({ channel: channelSchema.parse("nowhere") });
        expect(await harness.server.pause(unknown)).toMatchObject({ kind: "refused" });
      });

      it("is unavailable when nobody listens", async () => {
        if (!harness.server.capabilities.pause) return;
        await harness.stopServer();
        expect(await harness.server.pause(pauseRequest())).toMatchObject({ kind: "unavailable" });
      });
    });
  });
}
