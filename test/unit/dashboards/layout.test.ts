// Where panels stand, and the picture of it.
import { describe, expect, test } from "vitest";
import { dashboards } from "../../../dashboards/generated-files.ts";
import { layoutPicture } from "../../../dashboards/layout-picture.ts";
import { place } from "../../../dashboards/layout.ts";
import { text } from "../../../dashboards/panels.ts";

const panel = (title: string, width: number) => text({ title, width, question: "What?", markdown: title });

describe("place", () => {
  test("puts panels beside and below each other, and numbers them", () => {
    const placed = place([
      { title: "One", lines: [{ height: 4, panels: [panel("a", 8), panel("b", 16)] }] },
      { title: "Two", lines: [{ height: 6, panels: [panel("c", 24)] }] },
    ]);
    expect(placed.map(({ id, title, gridPos }) => [id, title, ...Object.values(gridPos!)])).toEqual([
      [1, "One", 0, 0, 24, 1],
      [2, "a", 0, 1, 8, 4],
      [3, "b", 8, 1, 16, 4],
      [4, "Two", 0, 5, 24, 1],
      [5, "c", 0, 6, 24, 6],
    ]);
  });

  test.each([[[12, 11]], [[12, 13]], [[]]])("does not take panels %j wide for a line", (widths) => {
    const panels = widths.map((width) => panel(`w${width}`, width));
    expect(() => place([{ title: "One", lines: [{ height: 4, panels }] }])).toThrow("One");
  });
});

describe.each(Object.entries(dashboards()))("the picture of %s", (_, dashboard) => {
  const picture = layoutPicture(dashboard);

  test("has a box for each panel, with its question, and a heading for each row", () => {
    const panels = dashboard.panels!;
    const rows = panels.filter(({ type }) => type === "row");
    expect(picture.match(/<rect class="panel"/g)).toHaveLength(panels.length - rows.length);
    expect(picture.match(/<g><title>[^<]+<\/title>/g)).toHaveLength(panels.length - rows.length);
    expect(picture.match(/<text class="row"/g)).toHaveLength(rows.length);
  });

  test("is XML that says nothing which a browser could run or fetch", () => {
    expect(picture).not.toMatch(/&(?!amp;|lt;|gt;|quot;)/);
    expect(picture).not.toMatch(/<script|href|url\(|\bon\w+=/);
    expect(picture.match(/<g>/g)).toHaveLength(picture.match(/<\/g>/g)!.length);
  });
});
