// The table of stores: sorted by any column, filtered by name, a hundred rows at once.

import { announce, el, replace, setText } from "./dom.js";
import { language, t } from "./i18n.js";
import { createCard, moreButton } from "./store-card.js";
import { COLUMNS, oddText } from "./store-columns.js";
import { matches } from "./store-picker.js";

const STEP = 100;
const FIRST = { key: "sales", order: "desc" };

/** The card of the table. `rows()` are the stores selected, of the last answer. */
export function createTable(view) {
  let limit = STEP;
  const filter = el("input", {
    type: "search", id: "store-table-filter", autocomplete: "off", spellcheck: "false",
    on: {
      input: () => {
        limit = STEP;
        drawRows();
        setText(live, countText(found().length));
      },
    },
  });
  const label = el("label", { for: filter.id, class: "sr" });
  const count = el("span", { class: "muted store-count" });
  const live = el("span", { class: "sr", role: "status" });
  const head = el("thead");
  const rows = el("tbody");
  const region = el("div", { class: "scroll store-table-scroll", role: "region", tabindex: "0" }, el("table", { class: "store-table-wide" }, head, rows));
  const rest = el("div");
  const hint = el("p", { class: "store-hint muted" });

  // The gateway sorts by four of these columns only, and gives all stores at once: they are sorted here.
  const card = createCard(view, {
    name: "table", title: "store.table.title", draw, path: () => view.path("/v1/metrics/stores", {}, { stores: false }),
    csv: { path: () => view.path("/v1/metrics/stores", {}, { stores: false }), file: () => view.file("stores"), label: "store.csvAll" },
  });
  card.tools.append(label, filter, count, live);
  rows.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-store]");
    if (button) view.choose({ stores: [button.dataset.store] });
  });

  function sort() {
    const [key, order] = (view.extra("sort") ?? "").split(":");
    const known = key === "name" || COLUMNS.some((column) => column.key === key);
    return known ? { key, order: order === "asc" ? "asc" : "desc" } : FIRST;
  }

  function draw(body) {
    setText(label, t("store.table.filter"));
    filter.placeholder = t("store.table.filterHint");
    region.setAttribute("aria-label", t("store.region", { title: t("store.table.title") }));
    setText(hint, t("store.table.hint"));
    if (region.parentNode !== body) replace(body, region, rest, hint);
    drawHead();
    drawRows();
  }

  function drawHead() {
    const focused = head.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const sorted = sort();
    replace(head, el("tr", null,
      heading("name", t("store.table.store"), "", sorted),
      COLUMNS.map((column) => heading(column.key, column.head(), column.say(), sorted, column.wide))));
    if (focused) head.querySelector(`[data-key="${focused}"]`)?.focus();
  }

  function heading(key, text, before, sorted, wide = key === "name") {
    const now = sorted.key === key ? sorted.order : null;
    return el("th", {
      scope: "col", class: wide ? null : "number", "aria-sort": now && (now === "asc" ? "ascending" : "descending"),
    },
    el("button", { type: "button", dataset: { key }, on: { click: () => sortBy(key) } },
      before && el("span", { class: "sr" }, `${before} `), text,
      el("span", { class: "store-sort", "aria-hidden": "true" }, now === "asc" ? "▲" : now === "desc" ? "▼" : "")));
  }

  function sortBy(key) {
    const now = sort();
    const first = COLUMNS.find((column) => column.key === key)?.first ?? "asc";
    const order = now.key !== key ? first : now.order === "asc" ? "desc" : "asc";
    view.setExtra("sort", key === FIRST.key && order === FIRST.order ? "" : `${key}:${order}`);
    limit = STEP;
    drawHead();
    drawRows();
  }

  /** Those selected that the filter lets through. */
  function found() {
    const words = filter.value.trim();
    return card.rows().filter((store) => matches({ ...view.store(store.store_id), ...store }, words));
  }

  function sorted(stores) {
    const { key, order } = sort();
    const sign = order === "asc" ? 1 : -1;
    const byId = (a, b) => (a.store_id < b.store_id ? -1 : 1);
    if (key === "name") {
      const { compare } = new Intl.Collator(language() === "zh" ? "zh-CN" : "en", { numeric: true });
      return stores.sort((a, b) => sign * compare(a.name, b.name) || byId(a, b));
    }
    const { value } = COLUMNS.find((column) => column.key === key);
    return stores.sort((a, b) => sign * (value(a) - value(b)) || byId(a, b));
  }

  function drawRows() {
    if (!card.answer) return;
    const stores = sorted(found());
    const { key } = sort();
    replace(rows, stores.length === 0
      ? el("tr", null, el("td", { class: "muted", colspan: COLUMNS.length + 1 }, t("store.table.noMatch")))
      : stores.slice(0, limit).map((store) => row(store, key)));
    setText(count, countText(stores.length));
    replace(rest, moreButton(Math.min(limit, stores.length), stores.length, STEP, () => {
      const at = limit;
      limit += STEP;
      drawRows();
      rows.children[at]?.querySelector("button")?.focus();
    }));
  }

  const countText = (n) => t("store.table.count", { n });

  function row(store, key) {
    const odd = store.anomalies.length > 0;
    return el("tr", { class: odd ? "store-marked" : null },
      el("th", { scope: "row" },
        el("button", {
          type: "button", class: "store-link", dataset: { store: store.store_id }, disabled: !view.canChoose(store.store_id),
          title: t("store.only", { name: store.name }),
        }, el("bdi", null, store.name)), " ",
        odd && el("span", { class: "store-mark", role: "img", "aria-label": t("store.table.marks"), title: store.anomalies.map(oddText).join("\n") }, "⚠"),
        el("span", { class: "store-id muted" }, store.store_id)),
      COLUMNS.map((column) => el("td", {
        class: [column.wide ? "store-wide" : "number", column.key === key && "store-sorted"].filter(Boolean).join(" "),
      }, column.cell(store))));
  }

  /** Sorts by a column as a click on its heading would for the first time, and shows the table. */
  function showBy(key) {
    const { first } = COLUMNS.find((column) => column.key === key);
    view.setExtra("sort", `${key}:${first}`);
    card.render();
    card.root.scrollIntoView({ block: "start" });
    head.querySelector(`[data-key="${key}"]`)?.focus();
    announce(t("store.table.title"));
  }

  function selected() {
    const { stores } = view.selection;
    const all = card.answer?.data.stores ?? [];
    if (stores === null) return [...all];
    const ids = new Set(stores);
    return all.filter((store) => ids.has(store.store_id));
  }

  return Object.assign(card, { rows: selected, showBy, reset: () => (limit = STEP) });
}
