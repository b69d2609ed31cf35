// Sessions in Redis: what the page got for a token, so that no script has to keep the token. A session holds whose it is
// and no role: what its operator may do is looked up at each request. Kept under the digest of its id, so that
// nobody who reads Redis can use one.
import { createHash, randomBytes } from "node:crypto";
import type { Clock } from "../../runtime/clock.ts";
import { Problem } from "../../runtime/problem.ts";
import type { Redis } from "../../runtime/redis.ts";
import { tokenDigestOf } from "../config/operators.ts";
import type { Operator } from "../config/operators.ts";
import { SESSIONS } from "../journal/control-keys.ts";
import { refuseExpired } from "./expired-token.ts";
import { ADMIN_PROBLEMS } from "./problems.ts";

/** A session ends when it was not used for so long, in milliseconds. */
export const SESSION_IDLE_MS = 12 * 3_600_000;
/** And after this at the latest, however much it is used. */
export const SESSION_LIFE_MS_MAX = 7 * 24 * 3_600_000;
/** It is written anew when it has been used and this much of its time is gone: a page asks every few seconds. */
export const SESSION_EXTEND_MS = 10 * 60_000;
/** Sessions of one operator at once; the oldest gives way. */
export const SESSIONS_PER_OPERATOR_MAX = 100;

const ID_BYTES = 32;

interface Session {
  readonly operator: string;
  /** Ties it to the operator's token: with another one it is over. Tells nothing about the token. */
  readonly binding: string;
  readonly created_at_ms: number;
  readonly expires_at_ms: number;
}

export interface SessionStore {
  /** Leaves the id, which is told once. */
  create(operator: Operator): Promise<string>;
  /** The operator as configured now; throws why the session lets nobody in. */
  use(id: string, operators: readonly Operator[]): Promise<Operator>;
  end(id: string): Promise<void>;
}

export function createSessionStore({ redis, clock }: { redis: Redis; clock: Clock }): SessionStore {
  return {
    async create(operator) {
      const id = randomBytes(ID_BYTES).toString("base64url");
      const nowMs = clock();
      await makeRoom(redis, operator.name, nowMs);
      await write(redis, id, {
        operator: operator.name,
        binding: bindingOf(id, operator),
        created_at_ms: nowMs,
        expires_at_ms: nowMs + SESSION_IDLE_MS,
      });
      return id;
    },
    async use(id, operators) {
      const nowMs = clock();
      const session = await read(redis, id);
      const operator = operators.find(({ name }) => name === session?.operator);
      const isAlive =
        session !== undefined &&
        operator !== undefined &&
        nowMs < session.expires_at_ms &&
        session.binding === bindingOf(id, operator);
      if (!isAlive)
        throw new Problem(ADMIN_PROBLEMS.unknown_session, {
          detail: "Sign in again: the session has ended, or its token is not in the configuration any more.",
        });
      refuseExpired(operator, nowMs);
      const expiresAtMs = Math.min(nowMs + SESSION_IDLE_MS, session.created_at_ms + SESSION_LIFE_MS_MAX);
      if (expiresAtMs - session.expires_at_ms >= SESSION_EXTEND_MS)
        await write(redis, id, { ...session, expires_at_ms: expiresAtMs });
      return operator;
    },
    end: async (id) => void (await redis.hdel(SESSIONS, digestOf(id))),
  };
}

function digestOf(id: string): string {
  return createHash("sha256").update(id).digest("hex");
}

function bindingOf(id: string, operator: Operator): string {
  return createHash("sha256")
    .update(`${id}|${tokenDigestOf(operator)}`)
    .digest("hex");
}

async function read(redis: Redis, id: string): Promise<Session | undefined> {
  const row = await redis.hget(SESSIONS, digestOf(id));
  return row === null ? undefined : (JSON.parse(row) as Session);
}

async function write(redis: Redis, id: string, session: Session): Promise<void> {
  await redis.hset(SESSIONS, digestOf(id), JSON.stringify(session));
}

/** Those that are over go, and so does the operator's oldest beyond the limit. */
async function makeRoom(redis: Redis, operator: string, nowMs: number): Promise<void> {
  const all = Object.entries(await redis.hgetall(SESSIONS)).map(
    ([field, row]) => [field, JSON.parse(row) as Session] as const,
  );
  const over = all.filter(([, session]) => session.expires_at_ms <= nowMs);
  const own = all
    .filter(([, session]) => session.expires_at_ms > nowMs && session.operator === operator)
    .toSorted(([, left], [, right]) => left.created_at_ms - right.created_at_ms);
  const tooMany = own.slice(0, Math.max(0, own.length - SESSIONS_PER_OPERATOR_MAX + 1));
  const fields = [...over, ...tooMany].map(([field]) => field);
  if (fields.length > 0) await redis.hdel(SESSIONS, ...fields);
}
