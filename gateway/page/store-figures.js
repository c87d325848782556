// The figures of a store: their order, how each is written, and whether more of it is better.

import { el } from "./dom.js";
import { money, number, t } from "./i18n.js";

/**
 * All figures in the gateway's order. `good`: 1 if more is better, -1 if less is; 0 where it depends. What a change of
 * marketing or delivery cost is worth can't be seen from it alone, but that it costs more is never good in itself.
 */
export const FIGURES = {
  orders: { kind: "count", good: 1 },
  filtered_orders: { kind: "count", good: -1 },
  units: { kind: "count", good: 1 },
  sales: { kind: "money", good: 1 },
  profit: { kind: "money", good: 1 },
  average_order_value: { kind: "money", good: 1 },
  profit_rate: { kind: "rate", good: 1 },
  gmv: { kind: "money", good: 1 },
  marketing_cost: { kind: "money", good: -1 },
  marketing_rate: { kind: "rate", good: -1 },
  delivery_cost: { kind: "money", good: -1 },
  net_delivery_cost: { kind: "money", good: -1 },
  platform_fee: { kind: "money", good: -1 },
  rebate: { kind: "money", good: 1 },
  product_cost: { kind: "money", good: 0 },
  consumable_cost: { kind: "money", good: 0 },
  active_products: { kind: "count", good: 1 },
  loss_orders: { kind: "count", good: -1 },
  loss_amount: { kind: "money", good: -1 },
  high_delivery_orders: { kind: "count", good: -1 },
  high_delivery_extra: { kind: "money", good: -1 },
};

/** Those that the gateway compares with the days before. */
export const COMPARED = ["sales", "orders", "profit", "profit_rate", "average_order_value", "gmv", "marketing_cost"];

/** The name of a figure. */
export const figureName = (name) => t(`metric.${name}`);

/** A rate, always with two decimals, so that columns of them line up. */
export const rateText = (value) => (typeof value === "number" ? `${money(value)}%` : t("store.none"));

/** A difference with its sign, likewise. */
export const signedText = (value) => `${value > 0 ? "+" : ""}${money(value)}`;

/** A figure's value as it is shown everywhere. */
export function figureText(name, value) {
  const kind = FIGURES[name]?.kind ?? "rate";
  if (kind === "count") return number(value);
  return kind === "money" ? money(value) : rateText(value);
}

/** A change as text: percent, or points of a rate. */
export function changeText(name, change) {
  if (typeof change !== "number") return t("store.none");
  return FIGURES[name].kind === "rate" ? pointsText(change) : `${signedText(change)}%`;
}

/** A difference of two rates. */
export const pointsText = (change) => t("store.points", { n: signedText(change) });

/** `better`, `worse` or `same`. */
export function verdict(name, change) {
  const worth = (FIGURES[name]?.good ?? 0) * Math.sign(change ?? 0);
  return worth > 0 ? "better" : worth < 0 ? "worse" : "same";
}

/**
 * A change with arrow and colour, and for who sees neither in words. `bare` leaves the unit out, where the column says it.
 */
export function changeMark(name, change, { bare = false } = {}) {
  if (typeof change !== "number") return el("span", { class: "muted" }, t("store.none"));
  const how = verdict(name, change);
  const arrow = change > 0 ? "▲" : change < 0 ? "▼" : "";
  const text = bare ? signedText(change) : changeText(name, change);
  return el("span", { class: "store-change", dataset: { verdict: how } },
    arrow && el("span", { class: "store-arrow", "aria-hidden": "true" }, arrow), text,
    how !== "same" && el("span", { class: "sr" }, ` (${t(`store.kpi.${how}`)})`));
}
