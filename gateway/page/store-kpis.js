// Key figures with their change against the days before. A figure chosen here is the one whose trend is drawn.

import { el, replace } from "./dom.js";
import { day, t } from "./i18n.js";
import { createCard } from "./store-card.js";
import { changeMark, COMPARED, FIGURES, figureName, figureText } from "./store-figures.js";

/** The card of key figures. */
export function createKpis(view) {
  let open = false;

  function draw(body, { data }, card) {
    const { current, previous, change } = data;
    replace(card.note, data.previous_from
      && t("store.kpi.range", { from: day(data.previous_from), to: day(data.previous_to) }));
    replace(body,
      current.orders === 0 && el("p", { class: "store-calm" }, t("store.kpi.noOrders")),
      el("ul", { class: "store-kpi-list" }, COMPARED.map((name) => el("li", null, kpi(name, current, previous, change)))),
      el("details", { open, on: { toggle: (event) => (open = event.target.open) } },
        el("summary", null, t("store.kpi.all", { n: Object.keys(FIGURES).length })), table(current, previous, change)));
  }

  function kpi(name, current, previous, change) {
    return el("button", {
      type: "button", class: "store-kpi", title: t("store.kpi.toTrend"), "aria-pressed": String(view.trendFigure() === name),
      dataset: { figure: name }, on: { click: () => view.setTrendFigure(name) },
    },
    el("span", { class: "store-kpi-name" }, figureName(name)),
    el("span", { class: "store-kpi-value value" }, figureText(name, current[name])),
    el("span", { class: "store-kpi-change" }, mark(name, previous, change),
      el("span", { class: "muted" }, ` ${t("store.kpi.before", { value: figureText(name, previous[name]) })}`)));
  }

  function table(current, previous, change) {
    return el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": t("store.region", { title: t("store.kpi.title") }) },
      el("table", { class: "store-all" },
        el("thead", null, el("tr", null,
          el("th", { scope: "col" }, t("store.kpi.figure")),
          ["now", "then", "change"].map((one) => el("th", { scope: "col", class: "number" }, t(`store.kpi.${one}`))))),
        el("tbody", null, Object.keys(FIGURES).map((name) => el("tr", null,
          el("th", { scope: "row" }, figureName(name)),
          el("td", { class: "number" }, figureText(name, current[name])),
          el("td", { class: "number" }, figureText(name, previous[name])),
          el("td", { class: "number" }, (name in change && mark(name, previous, change)) || t("store.none")))))));
  }

  // The figures themselves stay; which of them is pressed follows the trend.
  function follow() {
    for (const button of card.body.querySelectorAll(".store-kpi")) {
      button.setAttribute("aria-pressed", String(button.dataset.figure === view.trendFigure()));
    }
  }

  const card = createCard(view, {
    name: "kpis", title: "store.kpi.title", path: () => view.path("/v1/metrics/overview"), draw,
  });
  return Object.assign(card, { follow });
}

/** A percentage of nothing, or of a loss, would say something wrong: then there is only what it was before. */
function mark(name, previous, change) {
  return FIGURES[name].kind !== "rate" && previous[name] <= 0 ? null : changeMark(name, change[name]);
}
