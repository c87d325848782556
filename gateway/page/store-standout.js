// What stands out, named at once: which store's profit rate fell most, which lost most sales, how many are unusual, what is
// urgent. Made of the answers that the cards below have anyway.

import { el, replace, setText } from "./dom.js";
import { money, t } from "./i18n.js";
import { figureText, pointsText, signedText } from "./store-figures.js";
import { DEGREES } from "./store-rules.js";

/** The line; `render()` draws it from what `table` and `todo` have by now. */
export function createStandout(view, { table, todo }) {
  const heading = el("h2", { id: "store-out-title" });
  const list = el("ul", { class: "store-out-list" });
  const root = el("section", { class: "store-out", id: "store-out", "aria-labelledby": heading.id }, heading, list);

  function render() {
    setText(heading, t("store.out.title"));
    const items = [...ofStores(), ...ofRules()];
    const done = table.status === "ready" && todo.status === "ready";
    root.hidden = items.length === 0 && !done;
    if (table.status === "loading" || todo.status === "loading") root.setAttribute("aria-busy", "true");
    else root.removeAttribute("aria-busy");
    replace(list, items.length > 0 ? items : el("li", null, t("store.out.calm")));
  }

  function ofStores() {
    if (table.answer === null) return [];
    // A shop that sold nothing has no profit rate that could have fallen.
    const open = table.rows().filter((store) => store.orders > 0);
    const least = (value) => open.reduce((worst, store) => (worst === null || value(store) < value(worst) ? store : worst), null);
    const margin = least((store) => store.change.profit_rate);
    const sales = least((store) => store.change.sales);
    const losing = least((store) => store.profit);
    const odd = table.rows().filter((store) => store.anomalies.length > 0);
    return [
      margin && margin.change.profit_rate < 0 && ofStore("margin", margin, "change.profit_rate", t("store.out.marginSay", {
        points: pointsText(margin.change.profit_rate), rate: figureText("profit_rate", margin.profit_rate),
      })),
      sales && sales.change.sales < 0 && ofStore("sales", sales, "change.sales", t("store.out.salesSay", {
        change: `${signedText(sales.change.sales)}%`, sales: money(sales.sales),
      })),
      losing && losing.profit < 0 && ofStore("loss", losing, "profit", t("store.out.lossSay", { profit: money(losing.profit) })),
      odd.length > 0 && jump("odd", t("store.out.oddSay", { n: odd.length }), () => table.showBy("anomalies")),
    ].filter(Boolean);
  }

  function ofStore(kind, store, key, say) {
    const name = el("bdi", null, view.label(store.store_id));
    const compare = view.isSingle() ? null : el("button", {
      type: "button", class: "store-out-all", "aria-label": t("store.out.allOf", { kind: title(kind) }),
      on: { click: () => table.showBy(key) },
    }, t("store.out.all"));
    return item(kind, compare,
      view.isSingle() || !view.canChoose(store.store_id) ? el("b", null, name) : el("button", {
        type: "button", class: "store-link", title: t("store.only", { name: store.name }),
        on: { click: () => view.choose({ stores: [store.store_id] }) },
      }, name),
      " ", el("span", { class: "store-out-say" }, say));
  }

  function ofRules() {
    if (todo.answer === null) return [];
    const { urgent } = todo.answer.data;
    const n = DEGREES.urgent.filter((name) => urgent[name].count > 0).length;
    return n === 0 ? [] : [jump("urgent", t("store.out.urgentSay", { n }), () => {
      todo.root.scrollIntoView({ block: "start" });
      todo.root.focus({ preventScroll: true });
    })];
  }

  const jump = (kind, say, go) => item(kind, null, el("button", { type: "button", class: "store-link", on: { click: go } }, say));

  const title = (kind) => t(view.isSingle() && ["margin", "sales"].includes(kind) ? `store.out.${kind}.single` : `store.out.${kind}`);

  const item = (kind, tool, ...content) => el("li", { dataset: { kind } },
    el("p", { class: "store-out-head" }, el("span", null, title(kind)), tool), el("p", null, content));

  return { root, render };
}
