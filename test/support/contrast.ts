// Finds text on a page that is hard to read: less than 4.5 to 1 between its colour and what stands behind it (WCAG 2.2,
// 1.4.3). Enters: a page in a browser. Leaves: the texts that are too faint, with their ratio; empty = all can be read.
import type { Page } from "playwright-core";

const RATIO_LEAST = 4.5;

export async function contrastTooLow(page: Page): Promise<string[]> {
  const texts = await page.evaluate<ShownText[]>(READ_TEXTS);
  if (texts.length < 20) throw new Error(`only ${texts.length} texts were looked at`);
  return texts
    .map(({ text, ink, behind }) => ({ text, ratio: ratioOf(over(ink, flatten(behind)), flatten(behind)) }))
    .filter(({ ratio }) => ratio < RATIO_LEAST)
    .map(({ text, ratio }) => `${ratio.toFixed(2)}: ${text}`);
}

type Colour = readonly [red: number, green: number, blue: number, alpha: number];

interface ShownText {
  readonly text: string;
  readonly ink: Colour;
  /** Backgrounds from the text outwards. */
  readonly behind: readonly Colour[];
}

/** Runs in the browser: every text that is shown, within the open dialog if there is one. */
const READ_TEXTS = `(() => {
  const parse = (css) => {
    const [red = 0, green = 0, blue = 0, alpha = 1] = (css.match(/[\\d.]+/g) ?? []).map(Number);
    return [red, green, blue, alpha];
  };
  const root = document.querySelector("dialog[open]") ?? document.body;
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const found = [];
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const parent = node.parentElement;
    const text = (node.nodeValue ?? "").trim();
    if (!parent.checkVisibility() || parent.closest(".heard, .skip, script, noscript") || text === "") continue;
    const style = getComputedStyle(parent);
    const behind = [];
    for (let one = parent; one !== null; one = one.parentElement)
      behind.push(parse(getComputedStyle(one).backgroundColor));
    found.push({ text, ink: parse(parent instanceof SVGElement ? style.fill : style.color), behind });
  }
  return found;
})()`;

/** The colour that is seen where backgrounds lie on each other; the first is on top. */
function flatten(behind: readonly Colour[]): Colour {
  return behind.toReversed().reduce((below, above) => over(above, below), [255, 255, 255, 1] as Colour);
}

function over([red, green, blue, alpha]: Colour, below: Colour): Colour {
  const mix = (top: number, under: number): number => top * alpha + under * (1 - alpha);
  return [mix(red, below[0]), mix(green, below[1]), mix(blue, below[2]), 1];
}

function ratioOf(one: Colour, other: Colour): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].toSorted((left, right) => left - right);
  return (light + 0.05) / (dark + 0.05);
}

function luminance([red, green, blue]: Colour): number {
  const linear = (value: number): number => {
    const share = value / 255;
    return share <= 0.040_45 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}
