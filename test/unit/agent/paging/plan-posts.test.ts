// What is told now: at once what is new or changed, again after half a minute, once more what is over.
import { expect, test } from "vitest";
import { toAlert, ANNOTATION_CHARS_MAX } from "../../../../agent/paging/alertmanager.ts";
import { BELIEVED_MS, RESEND_MS, planPosts } from "../../../../agent/paging/plan-posts.ts";
import type { KeptPage } from "../../../../agent/paging/plan-posts.ts";
import { makePage } from "../../../../agent/paging/page.ts";
import type { Page } from "../../../../agent/paging/page.ts";
import { NOON_MS } from "../../../support/page-snapshots.ts";
import { TILL } from "../../../support/verdicts.ts";

const page = makePage({
  alertname: "OtaRollbackHeld",
  severity: "critical",
  on: TILL,
  version: "1.4.0",
  reason: "no_good_target",
  description: "Nowhere to go.",
  startsAtMs: NOON_MS - 60_000,
});

/** What would be sent: [as standing, as over, forgotten]. */
function plan(standing: readonly Page[], kept: Partial<KeptPage> | undefined) {
  const before: KeptPage[] = kept === undefined ? [] : [{ page, takenAtMs: null, endedAtMs: null, ...kept }];
  return planPosts({
    standing,
    kept: new Map(before.map((each) => [each.page.key, each])),
    nowMs: NOON_MS,
  });
}
const counts = ({ due, ended, forgotten }: ReturnType<typeof plan>) => [
  due.length,
  ended.length,
  forgotten.length,
];
const changed = { ...page, description: "Something else." };

test.each<[string, readonly Page[], Partial<KeptPage> | undefined, readonly number[]]>([
  ["new", [page], undefined, [1, 0, 0]],
  ["never taken", [page], {}, [1, 0, 0]],
  ["taken a moment ago", [page], { takenAtMs: NOON_MS - RESEND_MS + 1 }, [0, 0, 0]],
  ["taken half a minute ago", [page], { takenAtMs: NOON_MS - RESEND_MS }, [1, 0, 0]],
  ["taken in the future: a clock was set back", [page], { takenAtMs: NOON_MS + 1 }, [1, 0, 0]],
  ["taken, and changed", [changed], { takenAtMs: NOON_MS }, [1, 0, 0]],
  ["stands again before its end was taken", [page], { takenAtMs: NOON_MS, endedAtMs: NOON_MS }, [1, 0, 0]],
  ["over", [], { takenAtMs: NOON_MS - 1 }, [0, 1, 0]],
  ["over, and nobody had heard of it", [], {}, [0, 0, 1]],
  ["nothing", [], undefined, [0, 0, 0]],
])("%s", (_name, standing, kept, expected) => {
  expect(counts(plan(standing, kept))).toEqual(expected);
});

test("it keeps the start that it was told with, and the end at which it was found", () => {
  const later = { ...page, startsAtMs: NOON_MS - 1 };
  expect(plan([later], { takenAtMs: 1 }).standing[0]!.page.startsAtMs).toBe(page.startsAtMs);
  expect(plan([], { takenAtMs: 1, endedAtMs: 7 }).ended[0]!.endedAtMs).toBe(7);
  expect(plan([], { takenAtMs: 1 }).ended[0]!.endedAtMs).toBe(NOON_MS);
});

test("a start in the future becomes now", () => {
  const early = { ...page, startsAtMs: NOON_MS + 5_000 };
  expect(plan([early], undefined).due[0]!.page.startsAtMs).toBe(NOON_MS);
});

test("as an alert: it ends in four minutes while it stands, and when it ended once it is over", () => {
  const options = { nowMs: NOON_MS, externalUrl: undefined, labels: { cluster: "eu" } };
  const standing = toAlert({ page, takenAtMs: null, endedAtMs: null }, options);
  expect(standing).toEqual({
    labels: {
      cluster: "eu",
      service: "lastgood",
      alertname: "OtaRollbackHeld",
      severity: "critical",
      app: TILL.app,
      channel: TILL.channel,
      version: "1.4.0",
      reason: "no_good_target",
    },
    annotations: {
      summary: "com.acme.till/production 1.4.0: a failing release is not rolled back",
      description: "Nowhere to go.",
      runbook: "docs/paging.md#otarollbackheld",
    },
    startsAt: "2026-01-31T11:59:00.000Z",
    endsAt: new Date(NOON_MS + BELIEVED_MS).toISOString(),
  });
  expect(toAlert({ page, takenAtMs: 1, endedAtMs: NOON_MS }, options).endsAt).toBe(
    "2026-01-31T12:00:00.000Z",
  );
  // A clock that was set back must not make an end before the start: Alertmanager would refuse it.
  expect(toAlert({ page, takenAtMs: 1, endedAtMs: 0 }, options).endsAt).toBe(standing.startsAt);
});

test("an annotation is not longer than its limit", () => {
  const options = { nowMs: NOON_MS, externalUrl: undefined, labels: {} };
  const described = (chars: number) =>
    toAlert({ page: { ...page, description: "x".repeat(chars) }, takenAtMs: null, endedAtMs: null }, options)
      .annotations["description"]!;
  expect(described(ANNOTATION_CHARS_MAX).endsWith("x")).toBe(true);
  expect(described(ANNOTATION_CHARS_MAX + 1).endsWith("x…")).toBe(true);
  expect(described(ANNOTATION_CHARS_MAX + 1).length).toBe(ANNOTATION_CHARS_MAX);
});
