// The course of one figure over the chosen days, by day, week or month.

import { lineChart } from "./charts.js";
import { el, replace } from "./dom.js";
import { compact, number, percent, t } from "./i18n.js";
import { choice, createCard } from "./store-card.js";
import { FIGURES, figureName, figureText } from "./store-figures.js";

const STEPS = ["day", "week", "month"];
const HEIGHT = 320;

/** The card of the trend. Figure and step are kept in the address, as they are part of what one shares. */
export function createTrend(view) {
  const step = () => (STEPS.includes(view.extra("by")) ? view.extra("by") : "day");
  const host = el("div", { class: "store-chart" });
  const hint = el("p", { class: "store-hint muted" });
  let chart = null;
  let drawn = null;

  const card = createCard(view, {
    name: "trend", title: "store.trend.title", draw,
    path: () => view.path("/v1/metrics/trend", { granularity: step() }),
    csv: { path: () => view.path("/v1/metrics/trend", { granularity: step() }), file: () => view.file("trend") },
  });

  function draw(body, { data }) {
    drawTools();
    const shown = step();
    replace(hint, shown !== "day" && t("store.trend.partial", { unit: t(`store.trend.unit.${shown}`) }));
    if (host.parentNode !== body) replace(body, host, hint);
    // Bars for weeks and months, whose sums stand side by side, and for a single day, which is no line.
    const bars = shown !== "day" || data.buckets.length === 1;
    if (drawn !== bars) {
      chart?.destroy();
      chart = lineChart(host, {
        title: () => `${t("store.trend.title")}: ${figureName(figure())}`,
        series: [{ label: () => figureName(figure()), colour: "--c1", bars }],
        x: "day", height: HEIGHT, format: (value) => figureText(figure(), value), axis,
      });
      drawn = bars;
    }
    chart.set(data.buckets.map((bucket) => bucket.start), [data.buckets.map((bucket) => bucket[figure()] ?? null)]);
  }

  const figure = () => view.trendFigure();
  const axis = (value) => {
    if (FIGURES[figure()].kind === "rate") return percent(value, 1);
    return Math.abs(value) < 100 ? number(value, 2) : compact(value);
  };

  function drawTools() {
    const select = el("select", { id: "store-trend-figure", on: { change: () => view.setTrendFigure(select.value) } },
      Object.keys(FIGURES).map((name) => el("option", { value: name, selected: name === figure() }, figureName(name))));
    const focused = card.tools.contains(document.activeElement) ? document.activeElement.id || "step" : null;
    replace(card.tools,
      el("label", { class: "sr", for: select.id }, t("store.trend.metric")), select,
      choice({
        label: t("store.trend.by"), value: step(), options: STEPS.map((one) => [one, t(`store.trend.${one}`)]),
        onChoose: (one) => {
          view.setExtra("by", one === "day" ? "" : one);
          drawTools();
          card.load();
        },
      }));
    if (focused === select.id) select.focus();
    else if (focused) card.tools.querySelector("[aria-pressed=true]")?.focus();
  }

  return card;
}
