// The operator API's route for replays: what a policy would have done on the counts that are stored. It changes nothing,
// and asks much of the machine: one at a time, and ended when whoever asked has gone.
import express from "express";
import type { Response, Router } from "express";
import { z } from "zod";
import { formatChannelKey } from "../../ingest/contract/release-key.ts";
import type { Clock } from "../../runtime/clock.ts";
import { formatProblems } from "../../runtime/config-file.ts";
import { METHOD_NOT_ALLOWED, Problem } from "../../runtime/problem.ts";
import { duration } from "../../runtime/units.ts";
import type { HealthStore } from "../health/health-store.ts";
import { WINDOW_RETENTION_DAYS } from "../health/health-window.ts";
import type { Policy } from "../policy/policy.ts";
import { policyFor, readPolicyText } from "../replay/policy-text.ts";
import { replay } from "../replay/replay.ts";
import type { ReplayedChannel } from "../replay/replay.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";
import { requireOperator } from "./authenticate.ts";
import { jsonBody } from "./json-body.ts";
import { ADMIN_PROBLEMS } from "./problems.ts";

/** How far back a replay goes: as far as windows are kept. */
export const REPLAY_SINCE_MS_MAX = WINDOW_RETENTION_DAYS * 24 * 3_600_000;
export const REPLAY_SINCE_MS_LEAST = 60_000;
/** Characters of the policies of a replay: reading them holds up folding, and mistakes in them are looked for one by one. */
export const REPLAY_POLICY_CHARS_MAX = 8_192;
/** Mistakes that are told. */
const PROBLEMS_TOLD_MAX = 50;
/** What a client is told to wait while another replay runs, in seconds. */
const BUSY_SECONDS = 5;
/** What messages call the policy that was sent. */
const SENT_POLICY = "policy";

export interface ReplayRoutesDeps {
  readonly channels: { readonly all: readonly ReplayedChannel[] };
  readonly health: HealthStore;
  readonly decisions: DecisionStore;
  readonly clock: Clock;
}

export function replayRoutes(deps: ReplayRoutesDeps): Router {
  const router = express.Router();
  let isRunning = false;
  router.post("/", requireOperator, ...jsonBody, async (request, response) => {
    // First: reading a policy takes its time as well.
    if (isRunning)
      throw new Problem(ADMIN_PROBLEMS.replay_running, {
        detail: "Replays run one at a time, so that counting is not held up: try again when it has ended.",
        retryAfterSeconds: BUSY_SECONDS,
      });
    isRunning = true;
    try {
      const asked = readBody(request.body, deps.clock());
      const policies = readPolicies(asked.policy);
      const channels = chooseChannels(asked, policies, deps.channels.all);
      const signal = goneSignal(response);
      const answer = await replay({ policies, channels, ...asked.period, signal }, deps);
      response.json(answer);
    } catch (error) {
      if (!response.closed) throw error;
    } finally {
      isRunning = false;
    }
  });
  router.all("/", (_request, response) => {
    response.set("Allow", "POST");
    throw new Problem(METHOD_NOT_ALLOWED, { detail: "Send the policy: use POST." });
  });
  return router;
}

export const replayBodySchema = z.strictObject({
  policy: z.string().max(REPLAY_POLICY_CHARS_MAX),
  since: duration.refine((ms) => ms >= REPLAY_SINCE_MS_LEAST && ms <= REPLAY_SINCE_MS_MAX),
  until: z.iso.datetime({ offset: true }).optional(),
  app: z.string().optional(),
  channel: z.string().optional(),
});

interface Asked {
  readonly policy: string;
  readonly period: { readonly sinceMs: number; readonly untilMs: number };
  readonly app: string | undefined;
  readonly channel: string | undefined;
}

function readBody(body: unknown, nowMs: number): Asked {
  const { success, data } = replayBodySchema.safeParse(body);
  if (!success)
    throw new Problem(ADMIN_PROBLEMS.invalid_body, {
      detail: `Send {"policy": "<YAML of at most ${REPLAY_POLICY_CHARS_MAX} characters>", "since": "7d"}, from 1m to ${WINDOW_RETENTION_DAYS}d; "app", "channel" and "until" (RFC 3339) may be given.`,
    });
  // What comes after now is not known yet.
  const untilMs = Math.min(nowMs, data.until === undefined ? nowMs : Date.parse(data.until));
  const { policy, app, channel } = data;
  return { policy, app, channel, period: { sinceMs: untilMs - data.since, untilMs } };
}

/** Variables of the environment are the agent's, and nothing to a policy from elsewhere. */
function readPolicies(text: string): ReadonlyMap<string, Policy> {
  const read = readPolicyText({ file: SENT_POLICY, text, env: {} });
  if (read.kind === "policies") return read.policies;
  const told = read.problems.slice(0, PROBLEMS_TOLD_MAX);
  const problems = told.map(({ line, column, path, message }) => ({ line, column, path, message }));
  throw new Problem(ADMIN_PROBLEMS.invalid_policy, {
    detail: formatProblems(told.map((problem) => ({ ...problem, excerpt: "" }))),
    members: { problems },
  });
}

function chooseChannels(
  { app, channel }: Asked,
  policies: ReadonlyMap<string, Policy>,
  all: readonly ReplayedChannel[],
): readonly ReplayedChannel[] {
  const chosen = all.filter(
    ({ key }) => (app === undefined || key.app === app) && (channel === undefined || key.channel === channel),
  );
  if (chosen.length === 0)
    throw new Problem(ADMIN_PROBLEMS.unknown_channel, {
      detail: `Those that are watched: ${all.map(({ key }) => formatChannelKey(key)).join(", ") || "none"}.`,
    });
  if (chosen.every(({ policy }) => policyFor(policies, policy.name) === undefined))
    throw new Problem(ADMIN_PROBLEMS.invalid_policy, {
      detail: `None of the ${policies.size} policies is for a channel that was asked about: those have ${namesOf(chosen)}. Send one policy, or one with such a name.`,
      members: { problems: [] },
    });
  return chosen;
}

function namesOf(channels: readonly ReplayedChannel[]): string {
  return [...new Set(channels.map(({ policy }) => policy.name))].join(", ");
}

function goneSignal(response: Response): AbortSignal {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  return gone.signal;
}
