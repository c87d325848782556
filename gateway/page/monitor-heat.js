// The grid of stores × days. One handler for all cells; one cell at a time can be reached by Tab, the arrow keys go on from it.

import { el, patch, setText, show } from "./dom.js";
import { ago, dateTime, day, duration, has, language, number, t } from "./i18n.js";
import { badge } from "./parts.js";

/** Rows at first and with every "show more": enough for the hottest, few enough to draw at once. */
const ROWS = matchMedia("(max-width: 800px)").matches ? 20 : 50;
const STATES = { warm: "good", partly: "watch", stale: "watch", cold: "bad" };

/** Opens the grid in `host`; answers `{draw(days, stores, now)}`. */
export function openHeat({ host }) {
  const grid = el("div", { class: "heat", role: "grid", tabindex: "-1" });
  const more = el("button", { type: "button", on: { click: () => showMore() } });
  const tip = el("div", { class: "tip", role: "tooltip", id: "heat-tip", hidden: true });
  host.append(grid, more, tip);
  let shown = ROWS;
  let last = null;
  /** Rows as they were drawn, so that only those are made again that changed. */
  let rows = new Map();
  let at = { store: null, column: -1 };

  function draw(days, stores, now) {
    last = { days, stores, now };
    const visible = stores.slice(0, shown);
    if (!visible.some((store) => store.store_id === at.store) || at.column >= days.length)
      at = { store: visible[0]?.store_id, column: days.length - 1 };
    const names = days.map((text) => day(text));
    const kept = new Map();
    const wasFocused = grid.contains(document.activeElement);
    for (const store of visible) {
      const why = whyText(store, now);
      const key = JSON.stringify([store, why, days, language()]);
      const old = rows.get(store.store_id);
      if (old?.key === key) {
        kept.set(store.store_id, old);
        continue;
      }
      const node = row(store, why, names);
      // Put in its place here: patch would keep the old node, and this one would be none of the page's.
      old?.node.replaceWith(node);
      kept.set(store.store_id, { key, why, store, node });
    }
    rows = kept;
    grid.setAttribute("aria-label", t("heat.title"));
    grid.setAttribute("aria-rowcount", String(stores.length + 1));
    grid.style.setProperty("--days", String(days.length));
    patch(
      grid,
      header(days, names),
      [...rows.values()].map((one) => one.node),
    );
    mark(wasFocused, false);
    show(more, stores.length > shown);
    setText(more, t("heat.more", { n: Math.min(ROWS, stores.length - shown), all: stores.length }));
  }

  function showMore() {
    const next = last.stores[shown]?.store_id;
    shown += ROWS;
    at = { store: next, column: last.days.length - 1 };
    draw(last.days, last.stores, last.now);
    mark(true);
  }

  const cellAt = ({ store, column }) => rows.get(store)?.node.querySelector(`[data-column="${column}"]`);

  /** Makes the current cell the one that Tab comes to. */
  function mark(focus, scroll = true) {
    grid.querySelector(".cell[tabindex='0']")?.setAttribute("tabindex", "-1");
    const cell = cellAt(at);
    cell?.setAttribute("tabindex", "0");
    if (focus && cell && document.activeElement !== cell) cell.focus({ preventScroll: !scroll });
  }

  function tell(cell) {
    const found = rows.get(cell.parentElement.dataset.key);
    if (!found) return;
    const name = found.store.name ? `${found.store.name} (${found.store.store_id})` : found.store.store_id;
    patch(
      tip,
      el("b", null, name),
      el("span", null, cell.getAttribute("aria-label")),
      el("span", { class: "muted" }, found.why),
    );
    show(tip, true);
    cell.setAttribute("aria-describedby", "heat-tip");
    const box = cell.getBoundingClientRect();
    const size = tip.getBoundingClientRect();
    const above = box.top - size.height - 6;
    tip.style.left = `${Math.max(8, Math.min(box.left + box.width / 2 - size.width / 2, document.documentElement.clientWidth - size.width - 8))}px`;
    tip.style.top = `${above > 8 ? above : box.bottom + 6}px`;
  }

  const silence = () => show(tip, false);

  grid.addEventListener("pointerover", (event) => {
    const cell = event.target.closest(".cell[data-column]");
    if (cell) tell(cell);
    else silence();
  });
  grid.addEventListener("pointerleave", silence);
  grid.addEventListener("focusin", (event) => {
    const cell = event.target.closest(".cell[data-column]");
    if (!cell) return;
    at = { store: cell.parentElement.dataset.key, column: Number(cell.dataset.column) };
    mark(false);
    tell(cell);
  });
  grid.addEventListener("focusout", silence);
  grid.addEventListener("click", (event) => event.target.closest(".cell[data-column]")?.focus());
  addEventListener("scroll", silence, { passive: true });
  grid.addEventListener("keydown", (event) => {
    if (event.key === "Escape") silence();
    const stores = [...rows.keys()];
    const place = stores.indexOf(at.store);
    const end = last.days.length - 1;
    const to = {
      ArrowLeft: [place, at.column - 1],
      ArrowRight: [place, at.column + 1],
      ArrowUp: [place - 1, at.column],
      ArrowDown: [place + 1, at.column],
      Home: [event.ctrlKey ? 0 : place, 0],
      End: [event.ctrlKey ? stores.length - 1 : place, end],
      PageUp: [Math.max(0, place - 10), at.column],
      PageDown: [Math.min(stores.length - 1, place + 10), at.column],
    }[event.key];
    if (!to || !event.target.closest(".cell")) return;
    event.preventDefault();
    const [nextRow, nextColumn] = to;
    if (nextRow < 0 || nextRow >= stores.length || nextColumn < 0 || nextColumn > end) return;
    at = { store: stores[nextRow], column: nextColumn };
    mark(true);
  });

  return { draw };
}

function header(days, names) {
  const shows = (at) => (days.length - 1 - at) % 7 === 0;
  return el(
    "div",
    { role: "row", class: "heat-row heat-head", key: "head" },
    el("div", { role: "columnheader", class: "heat-name" }, t("heat.store")),
    days.map((text, at) =>
      el(
        "div",
        { role: "columnheader", class: "heat-day" },
        el("i", { class: "sr" }, names[at]),
        shows(at) && el("span", { "aria-hidden": "true" }, day(text, "short")),
      ),
    ),
    el("div", { role: "columnheader", class: "heat-why" }, t("heat.why")),
  );
}

function row(store, why, names) {
  const letters = [...(store.days ?? "")];
  return el(
    "div",
    { role: "row", class: "heat-row", key: store.store_id, dataset: { state: store.state } },
    el(
      "div",
      { role: "rowheader", class: "heat-name" },
      el("span", { class: "muted" }, `${number(store.rank)}.`),
      el("span", { class: "heat-label" }, store.name || store.store_id),
      el("span", { class: "muted heat-id" }, store.store_id),
    ),
    names.map((name, at) => {
      const letter = "wsce".includes(letters[at] ?? "?") ? letters[at] : "c";
      return el("div", {
        role: "gridcell",
        class: `cell cell-${letter}`,
        "data-column": at,
        tabindex: "-1",
        "aria-label": t("heat.cell", { day: name, state: t(`heat.${letter}`) }),
      });
    }),
    el(
      "div",
      { role: "gridcell", class: "heat-why" },
      badge(STATES[store.state] ?? "none", t(`state.${store.state}`)),
      el("span", { class: "heat-reason" }, why),
    ),
  );
}

/** Why a store is as it is, in words; the gateway's own where the code is one that this page does not know. */
export function whyText({ why, confirmed_at: confirmed }, now) {
  if (!why) return "";
  const key = `reason.${why.code}`;
  if (!has(key)) return why.text ?? why.code;
  const at = why.confirmed_at ?? confirmed;
  const words = t(key, {
    ago: ago(at, now),
    place: number(why.place),
    error: why.error ?? t("unknown"),
    tries: number(why.tries),
    next: why.next_at > now ? duration(why.next_at - now) : t("reason.soon"),
    n: why.count ?? 0,
    time: dateTime(why.at ?? why.since),
  });
  const more =
    why.code === "paused"
      ? [why.by && t("paused.by", { by: why.by }), why.reason && t("paused.reason", { reason: why.reason })]
      : [];
  return [words, ...more].filter(Boolean).join(" ");
}
