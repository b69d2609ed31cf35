// The page on an OTA server that pushes nothing and can't be read: nobody hears of its devices, so a bad release would not
// be seen. Pure. Enters: a snapshot. Leaves: pages.
import { makePage } from "./page.ts";
import type { Page } from "./page.ts";
import type { PageSnapshot } from "./page-snapshot.ts";

/** A restart of the server, or a short outage, calls nobody, in milliseconds. */
export const NOT_READ_MS_LEAST = 10 * 60_000;

export function pollPages({ unread = new Map(), nowMs }: PageSnapshot): Page[] {
  return [...unread]
    .filter(([, { sinceMs }]) => nowMs - sinceMs >= NOT_READ_MS_LEAST)
    .map(([app, { sinceMs, detail }]) =>
      makePage({
        alertname: "OtaDevicesUnheard",
        severity: "critical",
        on: { app },
        description:
          `What devices of ${app} tell their OTA server can't be read: ${detail}. Until it can, a release that turns bad is ` +
          "not seen, and no device counts as silent. What was missed is read afterwards.",
        startsAtMs: sinceMs,
      }),
    );
}
