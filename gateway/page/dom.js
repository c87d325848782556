// Building and changing the page's elements. Nothing here, or elsewhere, takes markup from a string: the page's
// Content-Security-Policy forbids it, and so a name in the data can never become an element.

const SVG = "http://www.w3.org/2000/svg";

/** Element of the page by its id. */
export const byId = (id) => document.getElementById(id);

/**
 * A new element. `attrs`: `class`, `on: {event: handler}`, `dataset: {…}`, `style: {property: value}` (set one by one, since
 * the policy forbids style attributes), `text`, `key` (see `patch`); anything else is an attribute: `true` sets it empty;
 * `false`, null and undefined leave it out.
 * Children: nodes, strings, numbers, lists of them; null, undefined and false are left out.
 */
export const el = (tag, attrs, ...children) => fill(document.createElement(tag), attrs, children);

/** The same for SVG. */
export const svg = (tag, attrs, ...children) => fill(document.createElementNS(SVG, tag), attrs, children);

function fill(node, attrs, children) {
  for (const [name, value] of Object.entries(attrs ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    else if (name === "dataset") Object.assign(node.dataset, value);
    else if (name === "style") for (const [key, part] of Object.entries(value)) node.style.setProperty(key, part);
    else if (name === "text") node.textContent = value;
    else if (name === "key") node.dataset.key = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  append(node, children);
  return node;
}

/** Adds children as `el` takes them. */
export function append(node, ...children) {
  node.append(...flat(children));
  return node;
}

/** Replaces all children by others, as `el` takes them. */
export function replace(node, ...children) {
  node.replaceChildren(...flat(children));
  return node;
}

function flat(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (typeof child === "number" ? String(child) : child));
}

/** Sets a node's text, if it is another one: what did not change is not read out or laid out again. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Shows or hides an element. */
export function show(node, visible) {
  node.hidden = !visible;
}

/**
 * Makes the children of `host` what `children` say, changing only what differs: focus, selected text, scroll positions and
 * opened `<details>` stay. Elements with a `key` are found again by it, others by their place.
 * Handlers given with `on` are those of the first time that an element was made, so they must not hold on to data; lists
 * are better served by one handler on `host`. `open` of a `<details>` is the reader's and is never changed.
 * An element with `data-own` keeps whatever content its owner gave it. Children may be nodes that are there already: they stay
 * as they are.
 */
export function patch(host, ...children) {
  const wanted = flat(children).map((child) => (typeof child === "string" ? document.createTextNode(child) : child));
  const keyed = new Map();
  for (const child of host.children) if (child.dataset.key) keyed.set(child.dataset.key, child);
  let old = host.firstChild;
  for (const next of wanted) {
    const found = next.dataset?.key ? keyed.get(next.dataset.key) : old;
    if (found && alike(found, next)) {
      if (found === old) old = old.nextSibling;
      else host.insertBefore(found, old);
      if (found !== next) merge(found, next);
    } else {
      host.insertBefore(next, old);
    }
  }
  while (old) {
    const gone = old;
    old = old.nextSibling;
    gone.remove();
  }
  return host;
}

function alike(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && a.dataset?.key === b.dataset?.key;
}

function merge(kept, next) {
  if (kept.nodeType === Node.TEXT_NODE) {
    if (kept.data !== next.data) kept.data = next.data;
    return;
  }
  const details = kept.nodeName === "DETAILS";
  for (const { name } of [...kept.attributes]) {
    if (!next.hasAttribute(name) && name !== "style" && !(details && name === "open")) kept.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (name === "style" || (details && name === "open")) continue;
    if (kept.getAttribute(name) !== value) kept.setAttribute(name, value);
  }
  // Through the object model, because a style attribute would break the policy.
  if (kept.style.cssText !== next.style.cssText) kept.style.cssText = next.style.cssText;
  if (!("own" in kept.dataset)) patch(kept, ...next.childNodes);
}

/** Has a screen reader say something at its next pause. For changes of state only, never for figures that tick. */
export function announce(text) {
  const region = byId("live");
  if (region) region.textContent = text;
}

/** Offers a Blob as a file to save. */
export function save(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
