// The products that matter most: which lose money, which sell best.

import { el, replace } from "./dom.js";
import { money, number, t } from "./i18n.js";
import { choice, createCard } from "./store-card.js";
import { rateText } from "./store-figures.js";

const ORDERS = ["loss", "units", "sales", "profit"];
/** The gateway's own number, which it has ready, and the most that it gives. */
const FEW = 20;
const MOST = 200;

/** The card of products. Its order is part of the address. */
export function createProducts(view) {
  let limit = FEW;
  const by = () => (ORDERS.includes(view.extra("products")) ? view.extra("products") : ORDERS[0]);
  const path = () => view.path("/v1/metrics/products", { sort: by(), limit: limit === FEW ? null : limit });
  const card = createCard(view, {
    name: "products", title: "store.products.title", path, draw, csv: { path, file: () => view.file(`products-${by()}`) },
  });

  function draw(body, { data }) {
    drawTools();
    // "Loss makers" lists by least profit, so behind the last one that lost come those that earned.
    const products = by() === "loss" ? data.products.filter((one) => one.profit < 0) : data.products;
    if (products.length === 0) {
      const key = data.products.length === 0 ? "store.products.none" : "store.products.noLoss";
      replace(body, el("p", { class: "store-calm" }, t(key)));
      return;
    }
    const cut = products.length >= limit && limit < MOST;
    replace(body,
      el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": t("store.region", { title: t("store.products.title") }) },
        el("table", null,
          // Profit first: a phone has room for two columns.
          el("thead", null, el("tr", null,
            el("th", { scope: "col" }, t("store.products.name")),
            [t("store.products.gross"), t("store.products.rate"), t("metric.sales"), t("metric.units"), t("store.products.stock")]
              .map((text) => el("th", { scope: "col", class: "number" }, text)))),
          el("tbody", null, products.map(row)))),
      cut && el("p", { class: "store-more" }, el("button", { type: "button", on: { click: more } }, t("store.products.more", { n: MOST }))));
  }

  const row = (one) => el("tr", null,
    el("th", { scope: "row" }, el("bdi", { class: "store-product" }, productName(one)), " ",
      el("span", { class: "store-from muted" }, !view.isSingle() && el("bdi", null, view.label(one.store_id)),
        !view.isSingle() && one.category1 && " · ", one.category1 && el("bdi", null, one.category1))),
    el("td", { class: "number", dataset: { verdict: one.profit < 0 ? "worse" : "same" } }, money(one.profit)),
    el("td", { class: "number", dataset: { verdict: one.profit_rate < 0 ? "worse" : "same" } }, rateText(one.profit_rate)),
    el("td", { class: "number" }, money(one.sales)),
    el("td", { class: "number" }, number(one.units)),
    el("td", { class: "number" }, number(one.stock)));

  function more() {
    limit = MOST;
    card.load();
  }

  function drawTools() {
    const focused = card.tools.contains(document.activeElement);
    replace(card.tools, choice({
      label: t("store.products.by"), value: by(), options: ORDERS.map((one) => [one, t(`store.products.${one}`)]),
      onChoose: (one) => {
        view.setExtra("products", one === ORDERS[0] ? "" : one);
        limit = FEW;
        drawTools();
        card.load();
      },
    }));
    if (focused) card.tools.querySelector("[aria-pressed=true]")?.focus();
  }

  return Object.assign(card, { reset: () => (limit = FEW) });
}

/** A product's name; one whose lines never had any is told by its key. */
export const productName = ({ name, key }) => name || t("store.products.noName", { key });
