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
  /** @type {Map<string, { name: ReleaseName, state: ScopeState, isOpen: boolean }>} */
  const known = new Map();
  /** Whoever is signed in now: an answer to somebody else is not shown. */
  let caller = 0;

  /** @param {ReleaseName} name */
  function find(name) {
    const key = keyOf(name);
    const one = known.get(key) ?? { name, state: CLOSED, isOpen: false };
    known.set(key, one);
    return one;
  }

  /** @param {ReleaseName} name */
  async function lookAt(name) {
    const one = find(name);
    const before = one.state;
    if (before.kind === "asking") return;
    const asker = caller;
    one.state = { kind: "asking", seen: before.seen };
    onChange();
    const path = apiPath("scope", name.app, name.version);
    const answer = await ask(`${path}?channel=${encodeURIComponent(name.channel)}`);
    if (asker !== caller) return;
    one.state = stateAfter(before, answer);
    onChange();
    if (answer.kind === "refused" && answer.status === 401) onLogin();
  }

  return {
    of: (name) => known.get(keyOf(name))?.state ?? CLOSED,
    isOpen: (name) => known.get(keyOf(name))?.isOpen ?? false,
    toggle(name, isOpen) {
      const one = find(name);
      one.isOpen = isOpen;
      if (isOpen && one.state.kind === "closed") void lookAt(name);
    },
    lookAgain: (name) => void lookAt(name),
    forget() {
      caller += 1;
      for (const one of known.values()) one.state = CLOSED;
    },
    resume() {
      for (const { name, state, isOpen } of known.values())
        if (isOpen && state.kind === "closed") void lookAt(name);
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
