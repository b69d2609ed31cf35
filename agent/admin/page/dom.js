// Draws descriptions into the document, changing only what differs, so that an update moves neither focus nor
// selection nor scroll position. Enters: elements as `h(tag, props, ...children)` makes them, recognised again by
// `key`. Leaves: the changed document. All text becomes text nodes: there is no way to hand in HTML.
// @ts-check

/**
 * @typedef {string | Description} Child
 * @typedef {{ tag: string, id: string, isSvg: boolean, props: Record<string, unknown>, children: Child[] }} Description
 * @typedef {Child | number | null | undefined | false | readonly Loose[]} Loose
 */

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";
/** By node: what it was recognised by. */
const ids = new WeakMap();
/** Attribute names by node, so that those that are gone can be taken away. */
const drawnProps = new WeakMap();

/**
 * `key` tells siblings apart; `once` are properties set when the element is made and then left to the user (an open
 * <details>, what was typed); names that begin with "on" are event handlers; the rest are attributes.
 * @param {string} tag
 * @param {Record<string, unknown>} props
 * @param {Loose[]} children
 * @returns {Description}
 */
export function h(tag, props = {}, ...children) {
  return describe(tag, props, children, false);
}

/**
 * @param {string} tag
 * @param {Record<string, unknown>} props
 * @param {Loose[]} children
 * @returns {Description}
 */
export function svg(tag, props = {}, ...children) {
  return describe(tag, props, children, true);
}

/**
 * @param {string} tag
 * @param {Record<string, unknown>} props
 * @param {Loose[]} children
 * @param {boolean} isSvg
 * @returns {Description}
 */
function describe(tag, { key, ...props }, children, isSvg) {
  return {
    tag,
    id: key === undefined ? tag : `${tag} ${/** @type {string | number} */ (key)}`,
    isSvg,
    props,
    children: flatten(children),
  };
}

/**
 * @param {readonly Loose[]} children
 * @returns {Child[]}
 */
function flatten(children) {
  return children.flatMap((child) => {
    if (child === null || child === undefined || child === false || child === "") return [];
    if (typeof child === "number") return [String(child)];
    return Array.isArray(child) ? flatten(child) : [/** @type {Child} */ (child)];
  });
}

/**
 * Makes the children of `root` what is described; the focus stays, or goes to the nearest place that is left.
 * @param {Element} root
 * @param {Loose[]} children
 */
export function draw(root, ...children) {
  const focused = document.activeElement;
  const places = ancestorsOf(focused);
  drawChildren(root, flatten(children));
  if (focused === null || focused === document.activeElement || places.length === 0) return;
  const place = focused.isConnected
    ? focused
    : places.find((one) => one.isConnected && one.hasAttribute("tabindex"));
  if (place instanceof HTMLElement || place instanceof SVGElement) place.focus({ preventScroll: true });
}

/**
 * @param {Element | null} element
 * @returns {Element[]}
 */
function ancestorsOf(element) {
  const parent = element?.parentElement ?? null;
  return parent === null ? [] : [parent, ...ancestorsOf(parent)];
}

/**
 * @param {Element} parent
 * @param {readonly Child[]} children
 */
function drawChildren(parent, children) {
  const had = new Map(Array.from(parent.childNodes, (node) => [ids.get(node), node]));
  /** @type {Map<string, number>} */
  const seen = new Map();
  const wanted = children.map((child) => {
    const base = typeof child === "string" ? "#text" : child.id;
    const nth = seen.get(base) ?? 0;
    seen.set(base, nth + 1);
    const id = `${base}#${nth}`;
    const node = had.get(id) ?? create(child, id);
    had.delete(id);
    update(node, child);
    return node;
  });
  for (const node of had.values()) node.remove();
  let next = parent.firstChild;
  for (const node of wanted) {
    if (node === next) next = next.nextSibling;
    else parent.insertBefore(node, next);
  }
}

/**
 * @param {Child} child
 * @param {string} id
 * @returns {ChildNode}
 */
function create(child, id) {
  const node =
    typeof child === "string"
      ? document.createTextNode(child)
      : child.isSvg
        ? document.createElementNS(SVG_NAMESPACE, child.tag)
        : document.createElement(child.tag);
  ids.set(node, id);
  if (typeof child !== "string" && child.props["once"] !== undefined)
    Object.assign(node, child.props["once"]);
  return node;
}

/**
 * @param {ChildNode} node
 * @param {Child} child
 */
function update(node, child) {
  if (typeof child === "string") {
    if (node.nodeValue !== child) node.nodeValue = child;
    return;
  }
  const element = /** @type {Element} */ (node);
  for (const [name, value] of Object.entries(child.props)) setProp(element, name, value);
  for (const name of drawnProps.get(element) ?? []) if (!(name in child.props)) setProp(element, name, null);
  drawnProps.set(element, Object.keys(child.props));
  drawChildren(element, child.children);
}

/**
 * @param {Element} element
 * @param {string} name
 * @param {unknown} value
 */
function setProp(element, name, value) {
  if (name === "once") return;
  if (name.startsWith("on")) {
    Object.assign(element, { [name]: value });
    return;
  }
  if (value === null || value === undefined || value === false) return element.removeAttribute(name);
  const text = value === true ? "" : `${/** @type {string | number} */ (value)}`;
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/**
 * What stands in a field of a form, without space around it; "" when there is no such field.
 * @param {FormData} form
 * @param {string} name
 */
export function fieldText(form, name) {
  const value = form.get(name);
  return typeof value === "string" ? value.trim() : "";
}
