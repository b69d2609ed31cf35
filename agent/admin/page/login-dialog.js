// The dialog that asks for an operator's token. Enters: a token, typed. Leaves: POST /v1/session, which answers with a
// cookie that scripts can't read; the token is kept nowhere and its field is emptied at once.
// @ts-check
import { apiPath, ask } from "./api.js";
import { draw, fieldText, h } from "./dom.js";

/**
 * @param {{ dialog: HTMLDialogElement, onLogin: () => void }} deps
 */
export function createLoginDialog({ dialog, onLogin }) {
  /** @type {string | null} */
  let refused = null;
  let isSending = false;

  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.currentTarget);
    const token = fieldText(new FormData(form), "token");
    if (isSending || token === "") return;
    isSending = true;
    redraw();
    const answer = await ask(apiPath("session"), { method: "POST", body: { token } });
    isSending = false;
    form.reset();
    refused =
      answer.kind === "ok" ? null : answer.kind === "away" ? `${answer.detail} Try again.` : answer.detail;
    redraw();
    if (answer.kind !== "ok") return;
    dialog.close();
    onLogin();
  };

  const redraw = () => draw(dialog, viewForm({ refused, isSending, submit: (event) => void submit(event) }));

  // Without a session there is nothing behind it to go back to.
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  return {
    open() {
      if (dialog.open) return;
      refused = null;
      redraw();
      dialog.showModal();
    },
    close: () => dialog.close(),
  };
}

/**
 * @param {{ refused: string | null, isSending: boolean, submit: (event: SubmitEvent) => void }} form
 */
function viewForm({ refused, isSending, submit }) {
  return h(
    "form",
    { method: "post", action: "v1/session", onsubmit: submit },
    h("h2", { id: "login-title" }, "Who is there?"),
    h(
      "p",
      { id: "login-what" },
      "Your operator token, as the configuration lists it under ",
      h("code", {}, "agent.operators"),
      ".",
    ),
    h(
      "label",
      { class: "field" },
      h("span", {}, "Operator token"),
      h("input", {
        name: "token",
        type: "password",
        required: true,
        autofocus: true,
        autocomplete: "current-password",
        spellcheck: "false",
      }),
    ),
    h(
      "div",
      { role: "alert" },
      refused === null ? null : h("p", { class: "refused" }, h("b", {}, "Not let in. "), refused),
    ),
    h(
      "div",
      { class: "acts" },
      h(
        "button",
        { type: "submit", class: "main", "aria-disabled": isSending ? "true" : null },
        isSending ? "Asking…" : "Sign in",
      ),
    ),
  );
}
