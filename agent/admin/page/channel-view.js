// One channel: what it offers, what may be done to it, its versions newest first. Enters: a channel of GET /v1/status.
// Leaves: a description to draw.
// @ts-check
import { actButton, tag } from "./button.js";
import { h } from "./dom.js";
import { counted, time } from "./format.js";
import { viewRelease } from "./release-view.js";

/** @import { ChannelView, Drawing, FreezeView, ReleaseView } from "./api-shapes.d.ts" */

/** Versions that stand open on a channel. */
const RELEASES_SHOWN = 4;

/** What a channel does with a release that fails, in words. */
const ACTION_WORDS = /** @type {Readonly<Record<string, string>>} */ ({
  rollback: "rolls back",
  pause: "pauses",
  page: "pages, moves nothing",
});
const MODE_WORDS = /** @type {Readonly<Record<string, string>>} */ ({
  automatic: "by itself",
  approval: "once somebody approves",
  shadow: "in shadow: only writes down what it would do",
});

/**
 * @param {ChannelView} channel
 * @param {Drawing} drawing
 */
export function viewChannel(channel, drawing) {
  const { app, channel: name, releases, current_version: current } = channel;
  const title = `${app} / ${name}`;
  const id = `channel ${app} ${name}`;
  return h(
    "article",
    { key: id, class: "channel", "aria-label": `Channel ${title}`, tabindex: -1 },
    h(
      "header",
      {},
      h("h3", {}, h("span", { class: "app" }, app), h("span", { class: "slash" }, " / "), name),
      h(
        "p",
        { class: "offers" },
        "offers ",
        current === null ? h("span", { class: "quiet" }, "(not asked yet)") : h("code", {}, current),
      ),
      channel.paused ? tag("wait", "paused") : null,
      h("div", { class: "acts" }, viewActs(channel, title, drawing)),
      h("p", { class: "quiet policy" }, tellPolicy(channel)),
    ),
    (channel.freezes ?? [])
      .filter(({ scope }) => scope !== "all")
      .map((freeze) => viewFreeze(freeze, title, drawing)),
    releases.length === 0
      ? h("p", { class: "quiet empty" }, "No device has reported about a version on this channel yet.")
      : viewReleases(channel, drawing),
    viewServer(channel, drawing.nowMs),
  );
}

/**
 * Newest first; beyond a handful, those that nothing is asked of fold away.
 * @param {ChannelView} channel
 * @param {Drawing} drawing
 */
function viewReleases(channel, drawing) {
  const isShown = (/** @type {ReleaseView} */ release, /** @type {number} */ nth) =>
    nth < RELEASES_SHOWN || release.version === channel.current_version || release.hold !== null;
  const shown = channel.releases.filter(isShown);
  const folded = channel.releases.filter((release, nth) => !isShown(release, nth));
  return [
    shown.map((release) => viewRelease(release, channel, drawing)),
    folded.length === 0
      ? null
      : h(
          "details",
          { key: "older", class: "older" },
          h("summary", {}, counted(folded.length, "older version")),
          folded.map((release) => viewRelease(release, channel, drawing)),
        ),
  ];
}

/** @param {ChannelView} channel */
function tellPolicy({ policy, mode, action }) {
  const does = ACTION_WORDS[action ?? "rollback"] ?? action;
  return `policy ${policy}: ${does} ${MODE_WORDS[mode] ?? mode}`;
}

/**
 * @param {ChannelView} channel
 * @param {string} title
 * @param {Drawing} drawing
 */
function viewActs(channel, title, drawing) {
  return [
    actButton("Roll back…", title, { kind: "rollback", channel }, drawing, "main"),
    actButton("Pause…", title, { kind: "pause", channel }, drawing),
    actButton("Freeze…", title, { kind: "freeze", channel }, drawing),
  ];
}

/**
 * @param {FreezeView} freeze
 * @param {string} what
 * @param {Drawing} drawing
 */
export function viewFreeze(freeze, what, drawing) {
  const { id, by, reason, since, until } = freeze;
  return h(
    "div",
    { key: `freeze ${id}`, class: "frozen", role: "group", "aria-label": `${what} is frozen` },
    h(
      "p",
      {},
      h("b", {}, h("span", { "aria-hidden": "true" }, "❄ "), what, " is frozen"),
      `: Lastgood moves nothing ${freeze.scope === "all" ? "anywhere" : "here"} by itself. `,
      h("span", {}, "By ", by, " since ", time(since, drawing.nowMs)),
      until === null ? ", until somebody lifts it. " : [", until ", time(until, drawing.nowMs), ". "],
      h("q", {}, reason),
    ),
    actButton("Unfreeze…", what, { kind: "unfreeze", freeze }, drawing),
  );
}

/**
 * @param {ChannelView} channel
 * @param {number} nowMs
 */
function viewServer({ releases_on_server: listed }, nowMs) {
  if (listed === undefined || listed.length === 0) return null;
  return h(
    "details",
    { key: "server", class: "server" },
    h("summary", {}, `${counted(listed.length, "release")} on the OTA server`),
    h(
      "ul",
      {},
      listed.map(({ version, released_at: at }) =>
        h(
          "li",
          { key: version },
          h("code", {}, version),
          at === null ? null : [" released ", time(at, nowMs)],
        ),
      ),
    ),
  );
}
