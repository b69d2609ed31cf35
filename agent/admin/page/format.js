// Numbers and times as a person reads them, always with their unit. Pure: the time now is an argument.
// @ts-check
import { h } from "./dom.js";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** @param {number} number */
export function count(number) {
  return number.toLocaleString("en-GB");
}

/**
 * @param {number} number
 * @param {string} one
 * @param {string} many
 */
export function counted(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** @param {number} ratio */
export function percent(ratio) {
  const value = 100 * ratio;
  if (value === 0 || value >= 99.95) return `${value.toFixed(0)}%`;
  return `${value.toFixed(value < 0.995 ? 2 : 1)}%`;
}

/**
 * Of a setting: as few places as it has.
 * @param {number} ratio
 */
export function percentSet(ratio) {
  return `${Number((100 * ratio).toPrecision(6))}%`;
}

/** @param {number} log10 */
export function power(log10) {
  return `10^${log10.toFixed(1)}`;
}

/**
 * "398 to 1"; beyond a million only its power is a word for it.
 * @param {number} log10
 */
export function odds(log10) {
  if (log10 < 0) return "none";
  if (log10 > 6) return "over 1,000,000 to 1";
  return `${count(Math.round(10 ** log10))} to 1`;
}

/** @param {number} ms */
export function duration(ms) {
  if (ms < 0) return "0 s";
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 2 * MINUTE_MS) return `${Math.round(ms / 1_000)} s`;
  if (ms < 2 * HOUR_MS) return `${Math.round(ms / MINUTE_MS)} min`;
  if (ms < 2 * DAY_MS) return `${Math.round(ms / HOUR_MS)} h`;
  return `${Math.round(ms / DAY_MS)} days`;
}

/**
 * Coarse on purpose: it is drawn anew every two seconds.
 * @param {number} ms
 */
export function ago(ms) {
  if (ms < 0) return "just now";
  if (ms < MINUTE_MS) return "under a minute ago";
  return `${duration(ms)} ago`;
}

/** @param {number} ms */
export function clockTime(ms) {
  return new Date(ms).toLocaleTimeString("en-GB", { hour12: false });
}

/**
 * Local time; the day stands with it unless it is today. UTC is in the title.
 * @param {string} iso
 * @param {number} nowMs
 */
export function time(iso, nowMs) {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return h("span", {}, iso);
  const isToday = at.toDateString() === new Date(nowMs).toDateString();
  /** @type {Intl.DateTimeFormatOptions} */
  const isYear = at.getFullYear() === new Date(nowMs).getFullYear() ? {} : { year: "numeric" };
  const day = at.toLocaleDateString("en-GB", { day: "numeric", month: "short", ...isYear });
  const shown = isToday ? clockTime(at.getTime()) : `${day} ${clockTime(at.getTime()).slice(0, 5)}`;
  const utc = `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;
  return h("time", { datetime: at.toISOString(), title: utc }, shown);
}

/** What a failure is called, by signal. */
const SIGNAL_NAMES = /** @type {const} */ ({
  update_failure: "Failed to install or boot",
  download_failure: "Failed to download",
  crash: "Crashed",
  not_responding: "Did not respond",
  silence: "Fell silent",
});

/** @param {string} signal */
export function signalName(signal) {
  return Object.hasOwn(SIGNAL_NAMES, signal)
    ? SIGNAL_NAMES[/** @type {keyof typeof SIGNAL_NAMES} */ (signal)]
    : words(signal);
}

/**
 * A code as words.
 * @param {string} code
 */
export function words(code) {
  return code.replaceAll("_", " ");
}
