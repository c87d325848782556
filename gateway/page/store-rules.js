// The rules of the diagnosis: how each one's finding is said in a sentence, and what is listed below it.

import { money, number, percent, signed, t } from "./i18n.js";

const rate = (value) => percent(value, 1);
const daily = (value) => number(value, 1);
const streak = (n) => t("store.item.streak", { n });

/** The three degrees in the order of their weight, each with its rules as the gateway lists them. */
export const DEGREES = {
  urgent: ["loss_orders", "high_delivery", "stock_out", "price_below_cost"],
  watch: ["traffic_drop", "slow_3", "slow_7", "slow_15", "first_sale", "margin_drop"],
  highlights: ["hot_products", "high_profit"],
};

/** The amount that stands beside the count, where the rule has one; `sign` -1 where it is lost. */
const AMOUNTS = {
  loss_orders: ["amount", -1], high_delivery: ["extra", -1], stock_out: ["loss", -1], price_below_cost: ["loss", -1],
  slow_3: ["stock_cost", 0], slow_7: ["stock_cost", 0], slow_15: ["stock_cost", 0], first_sale: ["sales", 1],
  margin_drop: ["loss", -1], hot_products: ["sales", 1], high_profit: ["profit", 1],
};

/** `{text, sign}` of the amount, or null. */
export function amountOf(name, found) {
  if (!(name in AMOUNTS)) return null;
  const [field, sign] = AMOUNTS[name];
  return { text: money(found[field]), sign };
}

/** What was found, in sentences. */
export function sentences(name, found) {
  const params = { n: found.count };
  for (const [field, value] of Object.entries(found)) if (typeof value === "number") params[field] = number(value);
  params.amount = amountOf(name, found)?.text;
  if (name === "first_sale") params.profit = money(found.profit);
  return [t(`rule.${name}.say`, params), trendText(found.trend), ...topCategories(name, found)].filter(Boolean);
}

function trendText(trend) {
  if (!trend) return null;
  const { direction, average_3d: average, change_percent: change } = trend;
  if (direction === "flat" && change === null) return t("store.do.trend.flatZero");
  return t(`store.do.trend.${direction}`, { average: daily(average), change: change === null ? "" : `${signed(change, 1)}%` });
}

function topCategories(name, found) {
  if (name !== "first_sale") return [];
  const { top_category: top, top_rate_category: best } = found;
  const called = (category) => category || t("store.do.noCategory");
  return [
    top && t("rule.first_sale.top", { category: called(top.category), amount: money(top.amount) }),
    best && t("rule.first_sale.topRate", { category: called(best.category), rate: rate(best.rate) }),
  ];
}

/** What a product of the list is there for. */
export function itemText(name, item) {
  switch (name) {
    case "stock_out":
      return t("store.item.stock_out", { days: streak(item.streak), quantity: item.quantity, loss: money(item.loss) });
    case "price_below_cost":
      return t("store.item.price_below_cost", { lines: item.lines, loss: money(item.loss) });
    case "traffic_drop":
      return t("store.item.traffic_drop", { before: daily(item.before), after: daily(item.after) });
    case "slow_3":
    case "slow_7":
    case "slow_15":
      return t("store.item.slow", { stock: item.stock, cost: money(item.stock_cost) });
    case "margin_drop":
      return t("store.item.margin_drop", { before: rate(item.before), after: rate(item.after), loss: money(item.loss) });
    case "hot_products":
      return t("store.item.hot_products", { quantity: item.quantity, growth: `${signed(item.growth, 1)}%`, days: streak(item.streak) });
    default:
      return t("store.item.high_profit", { quantity: item.quantity, profit: money(item.profit), rate: rate(item.rate) });
  }
}

/** How many fell into each part, such as per channel: `{title, parts: [[text, count]]}`, largest first where there is no order. */
export function breakdowns(found, channelName) {
  const lists = [];
  const counted = (map) => Object.entries(map ?? {}).filter(([, count]) => count > 0);
  const channels = counted(found.channels).sort(([, a], [, b]) => b - a);
  if (channels.length > 0) lists.push({ title: t("store.do.byChannel"), parts: channels.map(([name, n]) => [channelName(name), n]) });
  const distance = counted(found.distance);
  if (distance.length > 0) lists.push({ title: t("store.do.byDistance"), parts: distance });
  const bands = counted(found.bands);
  if (bands.length > 0) lists.push({ title: t("store.do.byDrop"), parts: bands.map(([name, n]) => [t(`store.drop.${name}`), n]) });
  return lists;
}

