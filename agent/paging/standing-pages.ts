// Which pages stand now. Pure: the same snapshot gives the same pages, whichever agent looks, so that nothing has to
// remember to end an alert. Enters: a snapshot. Leaves: pages, each key once.
import { configPages } from "./config-page.ts";
import { decisionPages } from "./decision-pages.ts";
import { holdPages, killSwitchPages } from "./hold-pages.ts";
import { forgedPages } from "./forged-pages.ts";
import { pollPages } from "./poll-pages.ts";
import { suspectPages } from "./suspect-pages.ts";
import type { Page } from "./page.ts";
import type { PageSnapshot } from "./page-snapshot.ts";

/** By key, so that the order says nothing. Of two pages with one key the first counts, since the earlier of the two. */
export function standingPages(snapshot: PageSnapshot): Page[] {
  const byKey = new Map<string, Page>();
  const all = [
    ...holdPages(snapshot),
    ...killSwitchPages(snapshot),
    ...decisionPages(snapshot),
    ...suspectPages(snapshot),
    ...forgedPages(snapshot),
    ...pollPages(snapshot),
    ...configPages(snapshot),
  ];
  for (const page of all) {
    const other = byKey.get(page.key);
    byKey.set(page.key, other === undefined ? page : earlier(other, page));
  }
  return [...byKey.values()].toSorted((left, right) => (left.key < right.key ? -1 : 1));
}

function earlier(page: Page, other: Page): Page {
  return { ...page, startsAtMs: Math.min(page.startsAtMs, other.startsAtMs) };
}
