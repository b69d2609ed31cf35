// One version on a channel: how far it has come, how sure Lastgood is of it, and why. Enters: a release of
// GET /v1/status and its channel. Leaves: a description to draw.
// @ts-check
import { actButton, tag } from "./button.js";
import { h } from "./dom.js";
import { ago, count, counted, percent, time, words } from "./format.js";
import { shareBar } from "./figures.js";
import { viewScope } from "./scope-view.js";
import { strongestFirst, viewSegments, viewStatement } from "./statement-view.js";

/** @import { ChannelView, Drawing, ReleaseView } from "./api-shapes.d.ts" */

const VERDICT_LOOKS = /** @type {Readonly<Record<string, "bad" | "good" | "plain">>} */ ({
  failing: "bad",
  healthy: "good",
});

/**
 * @param {ReleaseView} release
 * @param {ChannelView} channel
 * @param {Drawing} drawing
 */
export function viewRelease(release, channel, drawing) {
  const { version, verdict, condemned } = release;
  const [first, ...rest] = strongestFirst(verdict.signals);
  const isOffered = version === channel.current_version;
  const place = `${version} on ${channel.app} / ${channel.channel}`;
  return h(
    "article",
    {
      key: version,
      class: isOffered ? "release offered" : "release",
      "aria-label": `Version ${version}`,
      tabindex: -1,
    },
    h(
      "header",
      {},
      h("h4", {}, h("code", {}, version)),
      isOffered
        ? h("span", { class: "tag now" }, h("span", { "aria-hidden": "true" }, "▸"), "offered now")
        : null,
      tag(VERDICT_LOOKS[verdict.kind] ?? "plain", words(verdict.kind)),
      condemned ? tag("bad", "condemned") : null,
      condemned ? actButton("Absolve…", place, { kind: "absolve", channel, version }, drawing) : null,
      viewSeen(release, drawing.nowMs),
    ),
    h("p", { class: "sentence" }, verdict.sentence),
    h("div", { class: "numbers" }, viewAdoption(release, channel), first ? viewStatement(first) : null),
    viewFacts(release, drawing),
    rest.length === 0 ? null : viewRest(rest),
    viewScope({ app: channel.app, channel: channel.channel, version }, drawing),
  );
}

/**
 * @param {ReleaseView} release
 * @param {number} nowMs
 */
function viewSeen({ first_seen: first, last_report: last }, nowMs) {
  if (first === null) return null;
  return h(
    "span",
    { class: "quiet seen" },
    "first seen ",
    time(first, nowMs),
    last === null ? null : `, last report ${ago(nowMs - Date.parse(last))}`,
  );
}

/**
 * @param {ReleaseView} release
 * @param {ChannelView} channel
 */
function viewAdoption({ devices }, channel) {
  const running = devices["running"] ?? 0;
  const all = channel.releases.reduce((sum, other) => sum + (other.devices["running"] ?? 0), 0);
  const share = all === 0 ? 0 : running / all;
  const told = `${percent(share)} of ${counted(all, "device")}`;
  return h(
    "div",
    { key: "adoption", class: "adoption" },
    h("p", { class: "label" }, "Running"),
    h(
      "p",
      { class: "large" },
      count(running),
      h("span", { class: "unit" }, running === 1 ? " device" : " devices"),
    ),
    shareBar(share, `${percent(share)} of the devices on this channel`),
    h("p", { class: "quiet" }, told),
  );
}

/**
 * @param {ReleaseView} release
 * @param {Drawing} drawing
 */
function viewFacts(release, { nowMs }) {
  const { verdict, hold, decision_id: decisionId, condemned } = release;
  const baseline = verdict.baseline ?? [];
  const share = verdict.share_of_fleet ?? 1;
  return h(
    "dl",
    { class: "facts" },
    hold === null
      ? null
      : fact(
          "Held back",
          h(
            "span",
            {},
            h("b", {}, `${words(hold.reason)}: `),
            hold.sentence,
            " Since ",
            time(hold.since, nowMs),
            ".",
          ),
          "hold",
        ),
    viewSegments(verdict.signals),
    share < 1 ? fact("Concerns", `${percent(share)} of the fleet`) : null,
    baseline.length > 0
      ? fact(
          "Baseline",
          baseline.map((one, nth) => [nth > 0 ? ", " : "", h("code", { key: one }, one)]),
        )
      : null,
    fact("Counted", tellCounted(release)),
    condemned && decisionId !== null
      ? fact("Decision", h("a", { href: `#decision-${encodeURIComponent(decisionId)}` }, decisionId))
      : null,
  );
}

/**
 * @param {string} name
 * @param {import("./dom.js").Loose} value
 */
function fact(name, value, look = "") {
  return h("div", { key: name, class: `fact ${look}` }, h("dt", {}, name), h("dd", {}, value));
}

/** @param {ReleaseView} release */
function tellCounted({ devices, hours }) {
  const parts = ["attempted", "failed", "download_failed", "confirmed", "recovered", "silent"].flatMap(
    (name) => {
      const value = devices[name] ?? 0;
      const isAlways = name === "attempted" || name === "failed" || name === "confirmed";
      return value > 0 || isAlways ? [`${count(value)} ${name === "attempted" ? "tried" : words(name)}`] : [];
    },
  );
  if (hours.active > 0) parts.push(`${counted(hours.active, "device-hour")} of use`);
  if (hours.crashed > 0) parts.push(`${count(hours.crashed)} of them crashed`);
  if (hours.not_responding > 0) parts.push(`${count(hours.not_responding)} of them not responding`);
  return parts.join(", ");
}

/** @param {readonly import("./api-shapes.d.ts").SignalView[]} rest */
function viewRest(rest) {
  return h(
    "details",
    { key: "rest" },
    h("summary", {}, `${counted(rest.length, "other statement")} of the policy`),
    h("div", { class: "statements" }, rest.map(viewStatement)),
  );
}
