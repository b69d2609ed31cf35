// The dialog in which an act is confirmed: it says exactly what will happen, asks for what is needed, sends it once, and
// shows what the agent says to it. Enters: an act, the page's state. Leaves: a request; a sentence once it is done.
// @ts-check
import { FREEZE_DURATIONS, planOf, tellRecord, tellRunning } from "./acts.js";
import { apiPath, ask, newKey } from "./api.js";
import { draw, h } from "./dom.js";
import { time } from "./format.js";

/** @import { Act, Answer, ChannelView, PageState, TargetsView, WarningView } from "./api-shapes.d.ts" */

/** Characters of a reason. */
const REASON_CHARS_MAX = 500;

/**
 * What the dialog holds while it is open. `key` names the act with this target, so that a second try after a lost answer
 * does nothing twice. `refused`: the agent's last no, or none, under its
 * `head`; `objections`: the guards it named, by target.
 * @typedef {{
 *   act: Act,
 *   targets: TargetsView | null,
 *   target: string | null,
 *   key: string,
 *   objections: Record<string, readonly WarningView[]>,
 *   refused: string | null,
 *   head: string,
 *   isSending: boolean,
 * }} Open
 */

/**
 * @param {{
 *   dialog: HTMLDialogElement,
 *   readState: () => PageState,
 *   blocked: () => string | null,
 *   onDone: (told: string) => void,
 *   onLogin: () => void,
 * }} deps
 */
export function createActDialog({ dialog, readState, blocked, onDone, onLogin }) {
  /** @type {Open | null} */
  let open = null;

  const redraw = () => {
    if (open !== null)
      draw(
        dialog,
        viewForm(open, {
          state: readState(),
          blocked: blocked(),
          change,
          close,
          submit: (event) => void submit(event),
        }),
      );
  };
  const close = () => dialog.close();
  dialog.addEventListener("close", () => (open = null));

  /** @param {Act} act */
  const begin = (act) => {
    if (blocked() !== null || dialog.open) return;
    open = {
      act,
      targets: null,
      target: null,
      key: newKey(),
      objections: {},
      refused: null,
      head: "Not done. ",
      isSending: false,
    };
    // Nothing of an earlier act must stand in the fields of this one.
    draw(dialog);
    redraw();
    dialog.showModal();
    if (act.kind === "rollback") void readTargets(open, act.channel);
  };

  /** @param {Partial<Open>} changed */
  const change = (changed) => {
    if (open !== null) Object.assign(open, changed);
    redraw();
  };

  /** @param {Open} asked @param {ChannelView} channel */
  const readTargets = async (asked, channel) => {
    const answer = await ask(apiPath("channels", channel.app, channel.channel, "targets"));
    if (open !== asked) return;
    if (answer.kind !== "ok") return change({ refused: answer.detail });
    const targets = /** @type {TargetsView} */ (answer.body);
    const good = targets.targets.find(
      ({ version, warnings }) => warnings.length === 0 && version !== targets.current,
    );
    change({ targets, target: good?.version ?? null });
  };

  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    if (open === null || open.isSending || whyNot(open, readState(), blocked()) !== null) return;
    const sent = open;
    const form = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    const plan = planOf(sent.act, readState(), sent.target);
    const { path, method, body } = plan.request(form);
    change({ isSending: true, refused: null, head: "Not done. " });
    const answer = await ask(path, { method, body, key: sent.act.kind === "rollback" ? sent.key : null });
    sent.isSending = false;
    if (answer.kind === "ok") {
      if (open === sent) close();
      return onDone(plan.done(form));
    }
    if (answer.kind === "refused" && answer.status === 401) onLogin();
    if (open === sent) change(refusalOf(answer, sent));
  };

  return { begin, redraw };
}

/**
 * @param {Exclude<Answer, { kind: "ok" }>} answer
 * @param {Open} open
 * @returns {Partial<Open>}
 */
function refusalOf(answer, { act, target, objections }) {
  if (answer.kind === "away") {
    const again =
      act.kind === "rollback"
        ? "Trying again does nothing twice."
        : "Look whether it shows here before you try again.";
    return { refused: `${answer.detail} It is not known whether it was done. ${again}`, head: "No answer. " };
  }
  if (answer.warnings.length === 0 || target === null) return { refused: answer.detail };
  return { refused: answer.detail, objections: { ...objections, [target]: answer.warnings } };
}

/**
 * What speaks against the chosen target: what was known of it, and what the agent said when it was asked for.
 * @param {Open} open
 * @returns {readonly WarningView[]}
 */
function warningsOf({ targets, target, objections }) {
  if (target === null) return [];
  return objections[target] ?? targets?.targets.find(({ version }) => version === target)?.warnings ?? [];
}

/**
 * Why it can't be confirmed now; null = it can.
 * @param {Open} open
 * @param {PageState} state
 * @param {string | null} blocked
 */
function whyNot(open, { caller }, blocked) {
  if (blocked !== null) return blocked;
  if (open.isSending) return "It is being sent.";
  if (open.act.kind !== "rollback") return null;
  if (open.target === null) return "Choose a version to go back to.";
  const isAdmin = caller === null || caller.role === "admin";
  return warningsOf(open).length > 0 && !isAdmin
    ? "Only somebody with the role admin may override these warnings."
    : null;
}

/**
 * @typedef {{
 *   state: PageState,
 *   blocked: string | null,
 *   change: (changed: Partial<Open>) => void,
 *   close: () => void,
 *   submit: (event: SubmitEvent) => void,
 * }} Form
 */

/**
 * @param {Open} open
 * @param {Form} form
 */
function viewForm(open, form) {
  const { act, refused, isSending } = open;
  const plan = planOf(act, form.state, open.target);
  const reason = whyNot(open, form.state, form.blocked);
  return h(
    "form",
    { method: "dialog", onsubmit: form.submit },
    h("h2", { id: "act-title", tabindex: -1, autofocus: true }, plan.title),
    h(
      "ul",
      { id: "act-happens", class: "happens" },
      plan.happens.map((line, nth) => h("li", { key: nth }, line)),
    ),
    act.kind === "rollback" ? viewTargets(open, act.channel, form) : null,
    viewWarnings(open, form.state),
    act.kind === "freeze" ? viewDuration() : null,
    viewReason(plan.reason),
    h("p", { class: "quiet" }, tellRecord(form.state.caller)),
    h(
      "div",
      { key: "refused", role: "alert" },
      refused === null ? null : h("p", { class: "refused" }, h("b", {}, open.head), refused),
    ),
    h(
      "div",
      { class: "acts" },
      h("button", { key: "cancel", type: "button", onclick: form.close }, "Cancel"),
      h(
        "button",
        {
          key: "confirm",
          type: "submit",
          class: plan.isStop ? "stop" : "main",
          "aria-disabled": reason === null ? null : "true",
          "aria-describedby": "act-why",
        },
        isSending ? "Sending…" : plan.confirm,
      ),
    ),
    h("p", { key: "why", id: "act-why", class: "quiet why" }, isSending ? "" : (reason ?? "")),
  );
}

/**
 * @param {Open} open
 * @param {ChannelView} channel
 * @param {Form} form
 */
function viewTargets({ targets, target, refused }, channel, { change }) {
  if (targets === null)
    return h(
      "p",
      { key: "targets", role: "status" },
      refused === null ? "Asking the OTA server what there is to go back to…" : "",
    );
  const nowMs = Date.now();
  const listed = targets.targets.filter(({ version }) => version !== targets.current);
  if (listed.length === 0)
    return h("p", { key: "targets" }, "The OTA server lists no other release to go back to.");
  return h(
    "fieldset",
    { key: "targets" },
    h("legend", {}, "Go back to"),
    listed.map(({ version, released_at: at, warnings }) =>
      h(
        "label",
        { key: version, class: "choice" },
        h("input", {
          type: "radio",
          name: "to",
          value: version,
          required: true,
          once: { checked: version === target },
          onchange: () => change({ target: version, key: newKey(), refused: null }),
        }),
        h(
          "span",
          {},
          h("code", {}, version),
          h(
            "span",
            { class: "quiet" },
            at === null ? "" : [" released ", time(at, nowMs), ","],
            ` ${tellRunning(channel, version)}`,
          ),
        ),
        warnings.length === 0
          ? null
          : h(
              "span",
              { class: "tag bad" },
              h("span", { "aria-hidden": "true" }, "✕"),
              warnings.length === 1 ? "1 warning" : `${warnings.length} warnings`,
            ),
      ),
    ),
  );
}

/**
 * @param {Open} open
 * @param {PageState} state
 */
function viewWarnings(open, { caller }) {
  const warnings = warningsOf(open);
  if (warnings.length === 0 || open.target === null) return null;
  const isAdmin = caller === null || caller.role === "admin";
  return h(
    "div",
    {
      key: `warnings ${open.target}`,
      class: "warnings",
      role: "group",
      "aria-label": `Warnings about ${open.target}`,
    },
    h("p", {}, h("b", {}, `What speaks against ${open.target}`)),
    h(
      "ul",
      {},
      warnings.map(({ guard, sentence }, nth) =>
        h(
          "li",
          { key: nth },
          sentence,
          h("span", { class: "quiet" }, ` (guard ${guard.replaceAll("_", " ")})`),
        ),
      ),
    ),
    isAdmin
      ? h(
          "label",
          { class: "choice" },
          h("input", { type: "checkbox", name: "override", required: true }),
          h("span", {}, "Override: do it in spite of this"),
        )
      : null,
  );
}

function viewDuration() {
  return h(
    "label",
    { key: "for", class: "field" },
    h("span", {}, "For how long"),
    h(
      "select",
      { name: "for" },
      FREEZE_DURATIONS.map(([value, text]) =>
        h("option", { key: value, value, once: { selected: value === "2h" } }, text),
      ),
    ),
  );
}

/** @param {"required" | "optional"} need */
function viewReason(need) {
  return h(
    "label",
    { key: "reason", class: "field" },
    h("span", {}, "Reason", need === "optional" ? h("span", { class: "quiet" }, " (optional)") : null),
    h("input", {
      name: "reason",
      type: "text",
      required: need === "required",
      maxlength: REASON_CHARS_MAX,
      autocomplete: "off",
    }),
  );
}
