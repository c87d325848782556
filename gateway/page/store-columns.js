// The columns of the table of stores: what each shows and sorts by.

import { el } from "./dom.js";
import { number, t } from "./i18n.js";
import { changeMark, COMPARED, FIGURES, figureName, figureText, rateText } from "./store-figures.js";

const ORDER = [
  "sales", "orders", "profit", "profit_rate", "average_order_value", "gmv", "marketing_cost", "marketing_rate", "loss_orders",
  "loss_amount", "delivery_cost", "net_delivery_cost", "high_delivery_orders", "high_delivery_extra", "platform_fee", "rebate",
  "product_cost", "consumable_cost", "units", "active_products", "filtered_orders",
];
const RANKS = { rank_sales: "sales", rank_profit: "profit", rank_profit_rate: "profit_rate" };

/**
 * Columns behind the store's name: `key` names it in the address, `value(store)` is what it sorts by, `head()` and `say()`
 * its heading as seen and as read out, `cell(store)` its content, `first` the order that a first click sorts in: what one
 * looks for comes up first, which is the largest figure but the worst change.
 */
export const COLUMNS = [
  ...ORDER.flatMap((name) => (COMPARED.includes(name) ? [figure(name), change(name)] : [figure(name)])),
  ...Object.entries(RANKS).map(([key, name]) => ({
    key, first: "asc", value: (store) => store[key], cell: (store) => number(store[key]),
    head: () => t("store.table.rank", { metric: figureName(name) }), say: () => "",
  })),
  {
    key: "anomalies", first: "desc", value: (store) => weight(store.anomalies), cell: (store) => marks(store.anomalies),
    head: () => t("store.table.marks"), say: () => "", wide: true,
  },
];

function figure(name) {
  return {
    key: name, first: "desc", value: (store) => store[name], cell: (store) => figureText(name, store[name]),
    head: () => figureName(name), say: () => "",
  };
}

function change(name) {
  const points = FIGURES[name].kind === "rate";
  return {
    key: `change.${name}`, first: FIGURES[name].good < 0 ? "desc" : "asc", value: (store) => store.change[name],
    cell: (store) => changeMark(name, store.change[name], { bare: true }),
    head: () => t(points ? "store.table.points" : "store.table.change"),
    say: () => figureName(name),
  };
}

/** Grave ones count more than any number of slight ones. */
export const weight = (anomalies) => anomalies.reduce((sum, one) => sum + (one.severity === "high" ? 10 : 1), 0);

/** What is unusual about a store, in words. */
export function oddText({ metric, value, limit }) {
  const write = metric === "orders" ? (one) => number(one, 2) : rateText;
  return t(`store.odd.${metric}`, { value: write(value), limit: write(limit) });
}

function marks(anomalies) {
  if (anomalies.length === 0) return el("span", { class: "muted" }, t("store.none"));
  return el("ul", { class: "store-odd" }, anomalies.map((one) => el("li", { dataset: { severity: one.severity } },
    el("span", { "aria-hidden": "true" }, one.severity === "high" ? "⚠ " : "△ "),
    el("span", { class: "sr" }, `${t(`store.severity.${one.severity}`)}: `), oddText(one))));
}
