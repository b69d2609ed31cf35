// Keeps what a person looks at, or is about to press, where it stands while something is drawn anew above it. The browser's
// own way (overflow-anchor, switched off in page.css) does nothing at the top of the page, where new alarms push down the
// button under the pointer. Enters: what draws. Leaves: the same document, scrolled by as much as that thing moved.
// @ts-check

const PRESSED = "button, a, summary, label";
const PARTS = "article, li, section";

/** @param {() => void} drawAnew */
export function keepPlace(drawAnew) {
  const kept = pointedAt() ?? focusedInView() ?? lookedAt();
  const beforePx = kept?.getBoundingClientRect().top ?? 0;
  drawAnew();
  if (kept === null || !kept.isConnected) return;
  const movedPx = kept.getBoundingClientRect().top - beforePx;
  if (movedPx !== 0) window.scrollBy({ top: movedPx, behavior: "instant" });
}

/** What the pointer would press. */
function pointedAt() {
  return [...document.querySelectorAll(":hover")].at(-1)?.closest(PRESSED) ?? null;
}

function focusedInView() {
  const focused = document.activeElement;
  if (focused === null || focused === document.body) return null;
  const { top, bottom } = focused.getBoundingClientRect();
  return bottom > 0 && top < window.innerHeight ? focused : null;
}

/** What stands in the upper half of the window; at the very top of the page nothing is kept, so that alarms show. */
function lookedAt() {
  if (window.scrollY === 0) return null;
  return document.elementFromPoint(window.innerWidth / 3, window.innerHeight / 3)?.closest(PARTS) ?? null;
}
