// Which pages stand because a release looks bad, long before there is enough evidence to act (policy/ladder.ts). Pure.
// Enters: a snapshot. Leaves: pages.
import { parseReleaseKey } from "../../ingest/contract/release-key.ts";
import { makePage } from "./page.ts";
import type { Page } from "./page.ts";
import { isWatched, mayStillBeOffered } from "./page-snapshot.ts";
import type { PageSnapshot } from "./page-snapshot.ts";

export function suspectPages(snapshot: PageSnapshot): Page[] {
  return [...(snapshot.suspects ?? [])].flatMap(([text, { since, sentence }]) => {
    const release = parseReleaseKey(text);
    const startsAtMs = Date.parse(since);
    if (!isWatched(snapshot, release) || !mayStillBeOffered(snapshot, release, startsAtMs)) return [];
    return [
      makePage({
        alertname: "OtaReleaseSuspect",
        severity: "warning",
        on: release,
        version: release.version,
        description: `${sentence} Nothing is done yet.`,
        startsAtMs,
      }),
    ];
  });
}
