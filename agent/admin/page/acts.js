// What each act will do, in words, and the request that does it. Enters: an act and what is known of its channel.
// Leaves: a plan for the dialog. Nothing is sent from here.
// @ts-check
import { apiPath } from "./api.js";
import { fieldText, h } from "./dom.js";
import { counted, count } from "./format.js";

/** @import { Act, CallerView, ChannelView, FreezeView, PageState } from "./api-shapes.d.ts" */
/** @import { Loose } from "./dom.js" */

/**
 * `reason`: whether one must be given. `request` is made of what stands in the form.
 * @typedef {{
 *   title: string,
 *   happens: Loose[][],
 *   confirm: string,
 *   isStop: boolean,
 *   reason: "required" | "optional",
 *   request: (form: FormData) => { method: "POST" | "DELETE", path: string, body?: Record<string, unknown> },
 *   done: (form: FormData) => string,
 * }} Plan
 */

/** Durations that a freeze can be given, as the API takes them; "" = until somebody lifts it. */
export const FREEZE_DURATIONS = /** @type {const} */ ([
  ["30m", "30 minutes"],
  ["1h", "1 hour"],
  ["2h", "2 hours"],
  ["8h", "8 hours"],
  ["24h", "24 hours"],
  ["", "until somebody lifts it"],
]);

/**
 * @param {Act} act
 * @param {PageState} state
 * @param {string | null} target the version chosen to go back to
 * @returns {Plan}
 */
export function planOf(act, state, target) {
  switch (act.kind) {
    case "approve":
    case "reject":
      return planAnswer(act, state);
    case "rollback":
      return planRollback(act.channel, target);
    case "pause":
      return planPause(act.channel);
    case "freeze":
      return planFreeze(act.channel);
    case "unfreeze":
      return planUnfreeze(act.freeze);
    case "absolve":
      return planAbsolve(act.channel, act.version);
  }
}

/** @param {{ app: string, channel: string }} key */
export function titleOf({ app, channel }) {
  return `${app} / ${channel}`;
}

/**
 * @param {string | null} version
 * @param {ChannelView | undefined} channel
 */
function runningOn(version, channel) {
  return channel?.releases.find((release) => release.version === version)?.devices["running"] ?? 0;
}

/** @param {string} version */
function code(version) {
  return h("code", { key: version }, version);
}

/**
 * @param {Extract<Act, { kind: "approve" | "reject" }>} act
 * @param {PageState} state
 * @returns {Plan}
 */
function planAnswer({ kind, decision }, { status }) {
  const { id, version, target, action } = decision;
  const title = titleOf(decision);
  const channel = status?.channels.find(
    (one) => one.app === decision.app && one.channel === decision.channel,
  );
  const isPause = action === "pause" || target === null;
  const running = counted(runningOn(version, channel), "device");
  const approves = isPause
    ? [
        [
          "The OTA server is told to stop giving out ",
          code(version),
          ` on ${title}. Devices that have it keep it.`,
        ],
      ]
    : [
        [
          "The OTA server is told to offer ",
          code(target),
          " instead of ",
          code(version),
          ` on ${title}, as long as it still offers ${version}.`,
        ],
        [`${running} run ${version} now. They go back when they next ask for an update.`],
      ];
  const rejects = [
    [`Nothing is moved: ${title} goes on offering `, code(version), `, and ${running} keep it.`],
    ["The decision is closed as rejected."],
  ];
  const isApproval = kind === "approve";
  const what = isPause ? `pausing ${version}` : `the rollback of ${version} to ${target}`;
  return {
    title: isApproval ? `Approve ${what}?` : `Reject ${what}?`,
    happens: isApproval ? approves : rejects,
    confirm: isApproval
      ? isPause
        ? `Approve: pause ${version}`
        : `Approve: go back to ${target}`
      : "Reject: move nothing",
    isStop: false,
    reason: "optional",
    request: (form) => ({ method: "POST", path: apiPath("decisions", id, kind), body: reasonOf(form) }),
    done: () =>
      isApproval ? `Approved: ${what} on ${title}.` : `Rejected: ${what} on ${title}. Nothing was moved.`,
  };
}

/**
 * @param {ChannelView} channel
 * @param {string | null} target
 * @returns {Plan}
 */
function planRollback(channel, target) {
  const { app, channel: name, current_version: from } = channel;
  const title = titleOf(channel);
  const chosen = target === null ? "the version that you choose below" : code(target);
  const running = counted(runningOn(from, channel), "device");
  return {
    title: `Roll back ${title}?`,
    happens: [
      from === null
        ? ["The OTA server is told to offer ", chosen, ` on ${title}.`]
        : [
            "The OTA server is told to offer ",
            chosen,
            " instead of ",
            code(from),
            ` on ${title}, as long as it still offers ${from}.`,
          ],
      ...(from === null
        ? []
        : [[`${running} run ${from} now. They go back when they next ask for an update.`]]),
    ],
    confirm: target === null ? "Roll back" : `Roll back to ${target}`,
    isStop: true,
    reason: "required",
    request: (form) => ({
      method: "POST",
      path: apiPath("channels", app, name, "rollback"),
      body: {
        to: fieldText(form, "to"),
        ...(from === null ? {} : { from }),
        ...reasonOf(form),
        ...(form.get("override") === "on" ? { override: true } : {}),
      },
    }),
    done: (form) =>
      `Rollback of ${title} to ${fieldText(form, "to")} is on its way. Its story stands under Decisions.`,
  };
}

/**
 * @param {ChannelView} channel
 * @returns {Plan}
 */
function planPause(channel) {
  const { app, channel: name, current_version: current } = channel;
  const title = titleOf(channel);
  const kept =
    current === null
      ? []
      : [[`${counted(runningOn(current, channel), "device")} that run ${current} keep it.`]];
  return {
    title: `Pause ${title}?`,
    happens: [
      [
        "The OTA server is told to stop giving out ",
        current === null ? "updates" : code(current),
        ` on ${title}.`,
      ],
      ...kept,
      ["Lastgood does not resume a channel: that is done at the OTA server."],
    ],
    confirm: "Pause the channel",
    isStop: true,
    reason: "required",
    request: (form) => ({
      method: "POST",
      path: apiPath("channels", app, name, "pause"),
      body: reasonOf(form),
    }),
    done: () => `${title} is being paused.`,
  };
}

/**
 * @param {ChannelView | null} channel
 * @returns {Plan}
 */
function planFreeze(channel) {
  const what = channel === null ? "everything" : titleOf(channel);
  const where = channel === null ? "on any channel" : `on ${titleOf(channel)}`;
  const scope = channel === null ? "all" : { app: channel.app, channel: channel.channel };
  return {
    title: channel === null ? "Freeze everything?" : `Freeze ${what}?`,
    happens: [
      [
        h("b", {}, `Lastgood moves nothing ${where} by itself`),
        ": no rollback and no pause, however strong the evidence.",
      ],
      ["It goes on counting, judging and paging."],
      ["It ends after the time below, or when somebody lifts it."],
    ],
    confirm: `Freeze ${what}`,
    isStop: true,
    reason: "required",
    request: (form) => {
      const lasts = fieldText(form, "for");
      return {
        method: "POST",
        path: apiPath("freezes"),
        body: { scope, ...reasonOf(form), ...(lasts === "" ? {} : { for: lasts }) },
      };
    },
    done: () => `Frozen: ${what}. Lastgood moves nothing there by itself.`,
  };
}

/**
 * @param {FreezeView} freeze
 * @returns {Plan}
 */
function planUnfreeze({ id, scope, by, reason }) {
  const what = scope === "all" ? "everything" : titleOf(scope);
  return {
    title: `Lift the freeze of ${what}?`,
    happens: [
      [
        `Lastgood acts by itself again ${scope === "all" ? "on every channel" : `on ${what}`}, at once where the evidence calls for it.`,
      ],
      [`It was frozen by ${by}: `, h("q", {}, reason)],
    ],
    confirm: "Lift the freeze",
    isStop: false,
    reason: "optional",
    request: (form) => ({
      method: "DELETE",
      // A DELETE has no body: its words stand in the query.
      path: `${apiPath("freezes", id)}?${new URLSearchParams(reasonOf(form)).toString()}`.replace(/\?$/, ""),
    }),
    done: () => `The freeze of ${what} is lifted.`,
  };
}

/**
 * @param {ChannelView} channel
 * @param {string} version
 * @returns {Plan}
 */
function planAbsolve(channel, version) {
  const { app, channel: name } = channel;
  const title = titleOf(channel);
  return {
    title: `Absolve ${version}?`,
    happens: [
      [
        code(version),
        ` on ${title} no longer counts as condemned: it may be offered, and be gone back to, again.`,
      ],
      ["If the evidence still stands against it while it is offered, it can be rolled back again."],
    ],
    confirm: `Absolve ${version}`,
    isStop: true,
    reason: "required",
    request: (form) => ({
      method: "POST",
      path: apiPath("releases", app, name, version, "absolve"),
      body: reasonOf(form),
    }),
    done: () => `${version} on ${title} is absolved.`,
  };
}

/**
 * @param {FormData} form
 * @returns {Record<string, string>}
 */
function reasonOf(form) {
  const reason = fieldText(form, "reason");
  return reason === "" ? {} : { reason };
}

/** @param {CallerView | null} caller */
export function tellRecord(caller) {
  return caller === null
    ? "The journal keeps who did it, and the reason."
    : `The journal keeps your name (${caller.name}) and the reason.`;
}

/**
 * @param {ChannelView} channel
 * @param {string} version
 */
export function tellRunning(channel, version) {
  return `${count(runningOn(version, channel))} run it now`;
}
