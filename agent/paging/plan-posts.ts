// What has to be told to Alertmanager now. Pure. Enters: pages that stand, pages that were told (page-store.ts), the
// time. Leaves: pages to send as standing, pages to send as over, and pages to forget.
import type { Page } from "./page.ts";

/** How often a page that stands is sent again, in milliseconds. */
export const RESEND_MS = 30_000;
/** How long Alertmanager believes a page that it hears nothing more of, in milliseconds: eight lost sendings. */
export const BELIEVED_MS = 240_000;

/** A page that was told, or has to be. */
export interface KeptPage {
  readonly page: Page;
  /** When Alertmanager last took it as standing; null = it never has. */
  readonly takenAtMs: number | null;
  /** When it was found to be over, which Alertmanager has not taken yet; null = it stands. */
  readonly endedAtMs: number | null;
}

export interface PostPlan {
  /** Everything that stands, as it is kept from now on. */
  readonly standing: readonly KeptPage[];
  /** Those of them that have to be sent now. */
  readonly due: readonly KeptPage[];
  /** To be sent as over. */
  readonly ended: readonly KeptPage[];
  /** Keys of those that are over and were never taken: nobody has to hear of them. */
  readonly forgotten: readonly string[];
}

export function planPosts({
  standing,
  kept,
  nowMs,
}: {
  readonly standing: readonly Page[];
  readonly kept: ReadonlyMap<string, KeptPage>;
  readonly nowMs: number;
}): PostPlan {
  const keys = new Set(standing.map(({ key }) => key));
  const over = [...kept.values()].filter(({ page }) => !keys.has(page.key));
  const now = standing.map((page) => keepStart(page, kept.get(page.key), nowMs));
  return {
    standing: now,
    due: now.filter((each) => isDue(each, kept.get(each.page.key), nowMs)),
    ended: over
      .filter(({ takenAtMs }) => takenAtMs !== null)
      .map((each) => ({ ...each, endedAtMs: each.endedAtMs ?? nowMs })),
    forgotten: over.filter(({ takenAtMs }) => takenAtMs === null).map(({ page }) => page.key),
  };
}

/** A page that Alertmanager knows keeps the start that it was told with: else it would be another alert there. */
function keepStart(page: Page, before: KeptPage | undefined, nowMs: number): KeptPage {
  // Never in the future: Alertmanager refuses an end before the start.
  const startsAtMs = Math.min(before?.page.startsAtMs ?? page.startsAtMs, nowMs);
  return { page: { ...page, startsAtMs }, takenAtMs: before?.takenAtMs ?? null, endedAtMs: null };
}

function isDue({ page, takenAtMs }: KeptPage, before: KeptPage | undefined, nowMs: number): boolean {
  if (before === undefined || takenAtMs === null || before.endedAtMs !== null) return true;
  if (page.description !== before.page.description) return true;
  // A clock that was set back counts as long ago.
  return nowMs - takenAtMs >= RESEND_MS || nowMs < takenAtMs;
}
