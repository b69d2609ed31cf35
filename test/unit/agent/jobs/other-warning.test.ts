// The warning that strata have run out: once per app, and only for the row `other`.
import { expect, it } from "vitest";
import { createOtherWarning } from "../../../../agent/jobs/other-warning.ts";

it("warns of each app once, when its row `other` is new", () => {
  const warnings: unknown[] = [];
  const logger = { warn: (fields: unknown) => void warnings.push(fields) };
  const warnOfOther = createOtherWarning(logger as Parameters<typeof createOtherWarning>[0]);
  const fold = (...strata: string[]): void =>
    warnOfOther({
      newRows: {
        releases: new Map([["other|other|other", 1]]),
        strata: new Map(strata.map((text, index) => [text, index + 1])),
        reasons: new Map([["till|other", 1]]),
      },
    });
  fold();
  fold('till|["","other","",""]', 'other|["","T1","",""]');
  expect(warnings).toEqual([]);
  fold('till|["","T1","",""]', "till|other");
  // The row of another shard.
  fold("till|other", "kiosk|other");
  expect(warnings).toEqual([{ app: "till" }, { app: "kiosk" }]);
});
