// Today's must-do cards: what the diagnosis found, the urgent first, each with what to do about it.

import { el, replace } from "./dom.js";
import { day, number, t } from "./i18n.js";
import { createCard } from "./store-card.js";
import { channelName } from "./store-channels.js";
import { productName } from "./store-products.js";
import { amountOf, breakdowns, DEGREES, itemText, sentences } from "./store-rules.js";

const GLYPHS = { urgent: "✕", watch: "!", highlights: "★" };

/** The card of things to do. */
export function createTodo(view) {
  // Which lists the reader has open survives an answer and a change of the language.
  const open = new Set();

  const card = createCard(view, {
    name: "todo", title: "store.do.title", draw,
    path: () => view.path("/v1/diagnosis", {}, { days: judged() }),
  });

  /**
   * Without `from`: rules that look back two weeks see nothing in a range of seven days, so the 30 days up to the last one
   * chosen are judged, whatever the range; and that is what the gateway has ready. Its 30 days end on the last day with
   * data, so a later one is not named, from which they would be too far.
   */
  function judged() {
    const { days, lastDay } = view;
    return days && { to: lastDay !== null && lastDay < days.to ? lastDay : days.to };
  }

  function draw(body, { data }) {
    replace(card.note, data.as_of && t("store.do.asOf", { day: day(data.as_of) }));
    if (data.as_of === null) {
      replace(body, el("p", { class: "store-calm" }, t("store.do.none")));
      return;
    }
    replace(body, Object.entries(DEGREES).map(([degree, rules]) => group(degree, rules, data[degree])));
  }

  function group(degree, rules, found) {
    const hit = rules.filter((name) => found[name].count > 0);
    const calm = rules.filter((name) => found[name].count === 0);
    return el("section", { class: "store-degree", dataset: { degree }, "aria-labelledby": `store-do-${degree}` },
      el("h3", { id: `store-do-${degree}` },
        el("span", { class: "store-glyph", "aria-hidden": "true" }, GLYPHS[degree]), " ", t(`store.do.${degree}`),
        el("span", { class: "muted" }, ` ${number(hit.length)}`)),
      hit.length > 0 && el("ul", { class: "store-do-list" }, hit.map((name) => el("li", null, rule(name, found[name])))),
      calm.length > 0 && el("p", { class: "muted" },
        t("store.do.calm", { rules: calm.map((name) => t(`rule.${name}`)).join(t("store.comma")) })));
  }

  function rule(name, found) {
    const amount = amountOf(name, found);
    const title = t(`rule.${name}`);
    return el("article", { class: "store-do", dataset: { rule: name }, "aria-labelledby": `store-do-${name}` },
      el("h4", { id: `store-do-${name}` }, title),
      el("p", { class: "store-do-figures" }, el("b", { class: "value" }, number(found.count)),
        amount && el("span", { class: "store-do-amount" }, amount.text)),
      el("p", null, sentences(name, found).join(t("store.space"))),
      el("p", { class: "store-do-todo" }, t(`rule.${name}.todo`)),
      details(name, title, found));
  }

  function details(name, title, found) {
    const parts = breakdowns(found, channelName);
    const products = found.products ?? [];
    if (parts.length === 0 && products.length === 0) return null;
    return el("details", {
      open: open.has(name), on: { toggle: (event) => (event.target.open ? open.add(name) : open.delete(name)) },
    },
    el("summary", { "aria-label": t("store.do.detailsOf", { title }) }, t("store.do.details")),
    products.length > 0 && el("ol", { class: "store-items" }, products.map((item) => el("li", null,
      el("span", { class: "store-item-name" }, el("bdi", null, productName(item))),
      el("span", { class: "store-item-say" }, itemText(name, item)),
      view.isSingle() ? null : el("span", { class: "muted" }, el("bdi", null, view.label(item.store_id)))))),
    products.length > 0 && products.length < found.count && name !== "price_below_cost"
      && el("p", { class: "muted" }, t("store.do.cut", { shown: products.length, all: found.count })),
    name === "price_below_cost" && products.length >= 5 && el("p", { class: "muted" }, t("store.do.cutProducts", { shown: products.length })),
    parts.map(({ title: what, parts: counts }) => el("dl", { class: "store-parts" },
      el("dt", null, what),
      counts.map(([text, n]) => el("dd", null, el("bdi", null, text), " ", el("b", null, number(n)))))));
  }

  return card;
}
