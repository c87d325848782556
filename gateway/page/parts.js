// Small pieces that many parts of the page are built of. They are made anew for every `patch`.

import { el } from "./dom.js";
import { t } from "./i18n.js";

/** A level in a word and a glyph: good, watch, bad or none. */
export function badge(level, text = t(`level.${level}`)) {
  return el(
    "span",
    { class: "badge", "data-level": level },
    el("span", { class: "glyph", "aria-hidden": "true" }, t(`level.glyph.${level}`)),
    text,
  );
}

/**
 * A section that can be folded away, with a heading whose text follows the language (`data-t`). `body` is its content's
 * element. Which ones are folded is remembered for as long as the page lives: it is built once and never patched.
 */
export function card({ id, title, hint = null, body, open = true, extra = null }) {
  return el(
    "details",
    { class: "card", id, open },
    el(
      "summary",
      null,
      el("h2", { "data-t": title }, t(title)),
      hint && el("span", { class: "hint", "data-t": hint }, t(hint)),
      extra,
    ),
    body,
  );
}

/** Names and values: `[[name, value], …]`; rows that are null are left out. */
export function facts(rows) {
  return el(
    "dl",
    { class: "facts" },
    rows.filter(Boolean).map(([name, value]) => [el("dt", null, name), el("dd", null, value)]),
  );
}

/** A bar as wide as `part` (0 to 1). Decoration: the figure is written beside it. */
export function meter(part, level = null) {
  const width = `${(Math.min(1, Math.max(0, part || 0)) * 100).toFixed(1)}%`;
  return el(
    "span",
    { class: "meter", "aria-hidden": "true" },
    el("i", { style: { "--part": width, ...(level ? { "--fill": `var(--${level})` } : {}) } }),
  );
}

/** Commands to copy: one click selects the whole line. */
export function commands(lines) {
  return el(
    "ul",
    { class: "commands" },
    lines.map((line) => el("li", null, el("code", null, line))),
  );
}

/** A table that scrolls in a region of its own: `columns` `[[heading, isNumber], …]` ("" for one of bars), `rows` lists of cells. */
export function table(label, columns, rows) {
  const head = columns.map(([heading, numeric]) =>
    heading === "" ? el("td") : el("th", { scope: "col", class: numeric ? "number" : null }, heading),
  );
  const body = rows.map((cells) =>
    el(
      "tr",
      null,
      cells.map((cell, at) =>
        at === 0 ? el("th", { scope: "row" }, cell) : el("td", { class: columns[at][1] ? "number" : null }, cell),
      ),
    ),
  );
  return el(
    "div",
    { class: "scroll", role: "region", tabindex: "0", "aria-label": label },
    el("table", null, el("thead", null, el("tr", null, head)), el("tbody", null, body)),
  );
}
