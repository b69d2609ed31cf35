// The page on forged reports: many reports of an app come without the proof that its devices owe (device_auth). Where it is
// enforced none of them counts; somebody tries all the same, or a rollout of tokens went wrong. Pure. Enters: a snapshot.
// Leaves: pages.
import { makePage } from "./page.ts";
import type { Page } from "./page.ts";
import type { PageSnapshot } from "./page-snapshot.ts";

/** Unproven reports of about a quarter of an hour that call a person, at least. */
export const UNPROVEN_REPORTS_LEAST = 20;
/** Their share of all reports of the app, a ratio. */
export const UNPROVEN_SHARE_LEAST = 0.1;

export function forgedPages({ proofs = new Map(), nowMs }: PageSnapshot): Page[] {
  return [...proofs]
    .filter(
      ([, { reports, unproven }]) =>
        unproven >= UNPROVEN_REPORTS_LEAST && unproven >= UNPROVEN_SHARE_LEAST * reports,
    )
    .map(([app, { reports, unproven }]) =>
      makePage({
        alertname: "OtaForgedReports",
        severity: "critical",
        on: { app },
        description:
          `${unproven} of the last ${reports} reports of ${app} came without the proof that its devices owe (device_auth), or ` +
          "with another device's: somebody forges reports with an ingest key, or devices have lost their tokens.",
        startsAtMs: nowMs,
      }),
    );
}
