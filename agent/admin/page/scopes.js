// The scopes of incidents that somebody opened on the page: asked for when opened and when told to look again, never by
// themselves, for each is as much work for the agent as a whole release. Enters: which release was opened, the agent's
// answers. Leaves: what is known of each, to draw.
// @ts-check
import { apiPath, ask } from "./api.js";

/** @import { Answer, Scopes, ScopeState, ScopeView, ReleaseName } from "./api-shapes.d.ts" */

/** @type {ScopeState} */
const CLOSED = { kind: "closed", seen: null };

/**
 * @param {{ onChange: () => void, onLogin: () => void }} hooks
 * @returns {Scopes}
 */
export function createScopes({ onChange, onLogin }) {
  /** @type {Map<string, { name: ReleaseName, state: ScopeState }>} */
  const opened = new Map();
  /** Whoever is signed in now: an answer to somebody else is not shown. */
  let caller = 0;

  /** @param {ReleaseName} name */
  async function lookAt(name) {
    const key = keyOf(name);
    const before = opened.get(key)?.state ?? CLOSED;
    if (before.kind === "asking") return;
    const asker = caller;
    opened.set(key, { name, state: { kind: "asking", seen: before.seen } });
    onChange();
    const answer = await ask(
      `${apiPath("scope", name.app, name.version)}?channel=${encodeURIComponent(name.channel)}`,
    );
    if (asker !== caller) return;
    opened.set(key, { name, state: stateAfter(before, answer) });
    onChange();
    if (answer.kind === "refused" && answer.status === 401) onLogin();
  }

  return {
    of: (name) => opened.get(keyOf(name))?.state ?? CLOSED,
    open(name) {
      if (!opened.has(keyOf(name))) void lookAt(name);
    },
    lookAgain: (name) => void lookAt(name),
    forget() {
      caller += 1;
      for (const one of opened.values()) one.state = CLOSED;
    },
    resume() {
      for (const { name, state } of opened.values()) if (state.kind === "closed") void lookAt(name);
    },
  };
}

/**
 * What was seen last stays when there is no new answer.
 * @param {ScopeState} before
 * @param {Answer} answer
 * @returns {ScopeState}
 */
function stateAfter({ seen }, answer) {
  switch (answer.kind) {
    case "ok":
      return { kind: "seen", seen: /** @type {ScopeView} */ (answer.body) };
    case "refused":
      return { kind: "failed", seen, told: answer.detail };
    case "away":
      return { kind: "failed", seen, told: `The agent did not answer. ${answer.detail}` };
  }
}

/** @param {ReleaseName} name */
function keyOf({ app, channel, version }) {
  return JSON.stringify([app, channel, version]);
}
