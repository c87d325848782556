// Charts of uPlot, in the page's colours and language, with what uPlot has not: a legend that says figures in words and a
// table for who cannot see the canvas.

import { settings, stack } from "./charts-plot.js";
import { el, patch, replace, setText, svg } from "./dom.js";
import { addStrings, day, number, onLanguage, t, time } from "./i18n.js";
import { onTheme } from "./theme.js";

addStrings({
  en: {
    "chart.table": "As a table",
    "chart.time": "Time",
    "chart.day": "Day",
    "chart.empty": "No data yet",
    "chart.describe": "{label}: now {last}, between {least} and {most}",
  },
  zh: {
    "chart.table": "以表格查看",
    "chart.time": "时间",
    "chart.day": "日期",
    "chart.empty": "暂无数据",
    "chart.describe": "{label}：当前 {last}，范围 {least} 至 {most}",
  },
});

/** More rows than that are thinned out: a table is read row by row. */
const TABLE_ROWS = 30;
/** How near the pointer must be to a mark for its text to be shown, in pixels. */
const MARK_REACH = 8;

/**
 * Draws a chart into `host` (emptied). All texts are functions, so that they follow the language.
 *
 * - `title()`: what the chart shows; its accessible name.
 * - `describe()`: a sentence of what is to be seen; without it, the last, least and greatest value of each series.
 * - `series`: `[{label(), colour: "--c1", bars, dash, fill}]`, `colour` a custom property of style.css. `bars` draws bars instead
 *   of a line.
 * - `stacked`: areas one upon another, the first at the bottom.
 * - `x`: "time" (default; seconds since 1970, shown in local time) or "day" (texts such as 2026-03-07).
 * - `window`: width of the x axis in seconds, ending at the last point; without it, what the data span.
 * - `least`, `most`: fixed ends of the y axis; `log`: a logarithmic one; `steps`: what its labels may be apart.
 * - `format(v)`: a value in legend and table; `axis(v)`: at the axis (default: the same).
 * - `height`: in pixels, 180; `group`: charts of one group share the cursor.
 *
 * Answers `{set(xs, columns, marks), destroy()}`: `columns` are the values of each series (null: not known), `marks`
 * `[{at, text(), colour}]` vertical lines.
 */
export function lineChart(host, options) {
  const { series, stacked = false, x = "time", height = 180, format = (v) => number(v, 1) } = options;
  const canvas = el("div", { class: "chart-canvas", role: "img", style: { height: `${height}px` } });
  const empty = el("p", { class: "chart-empty muted" });
  const when = el("span", { class: "chart-when" });
  const values = series.map(() => el("b", { class: "chart-value" }));
  const labels = series.map(() => el("span"));
  const swatches = series.map((one) => swatch(one));
  const legend = el(
    "ul",
    { class: "chart-legend" },
    series.map((_, at) => el("li", null, swatches[at], labels[at], values[at])),
  );
  const summary = el("summary");
  const table = el("div", { class: "scroll", role: "region", tabindex: "0" });
  const more = el("details", { class: "chart-table", on: { toggle: () => drawTable() } }, summary, table);
  replace(host, el("div", { class: "chart" }, canvas, when, empty), el("div", { class: "chart-foot" }, legend, more));
  let xs = [];
  let columns = series.map(() => []);
  let marks = [];
  let plot = null;
  let shown = null;

  const seconds = () => (x === "day" ? xs.map((text) => Date.parse(`${text}T00:00:00Z`) / 1000) : xs);
  const label = (at) => (x === "day" ? day(xs[at], "weekday") : time(xs[at] * 1000));

  function draw() {
    const width = canvas.clientWidth;
    if (width === 0) return;
    const data = [seconds(), ...(stacked ? stack(columns).reverse() : columns)];
    if (plot === null) {
      plot = new globalThis.uPlot(
        settings(options, { width, height, format, marks: () => marks, onCursor }),
        data,
        canvas,
      );
    } else {
      plot.setData(data);
    }
  }

  function onCursor(at) {
    shown = at;
    drawLegend();
  }

  function drawLegend() {
    const last = xs.length - 1;
    const at = shown ?? last;
    series.forEach((one, place) => {
      setText(labels[place], one.label());
      setText(values[place], format(columns[place][at] ?? null));
    });
    const near = shown === null ? null : nearest(marks, plot, seconds()[at]);
    setText(when, at < 0 ? "" : near ? `${label(at)} · ${near.text()}` : shown === null ? "" : label(at));
  }

  function drawWords() {
    const nothing = columns.every((values) => values.every((value) => value === null || value === undefined));
    empty.hidden = !nothing;
    setText(empty, t("chart.empty"));
    const words =
      options.describe?.() ?? series.map((one, at) => describe(one.label(), columns[at], format)).join("; ");
    canvas.setAttribute("aria-label", `${options.title()}. ${nothing ? t("chart.empty") : words}`);
    setText(summary, t("chart.table"));
    table.setAttribute("aria-label", options.title());
  }

  function drawTable() {
    if (!more.open) return;
    const step = Math.max(1, Math.ceil(xs.length / TABLE_ROWS));
    const rows = [];
    for (let at = xs.length - 1; at >= 0; at -= step) {
      rows.push(
        el(
          "tr",
          null,
          el("th", { scope: "row" }, label(at)),
          columns.map((values) => el("td", { class: "number" }, format(values[at] ?? null))),
        ),
      );
    }
    patch(
      table,
      el(
        "table",
        null,
        el(
          "thead",
          null,
          el(
            "tr",
            null,
            el("th", { scope: "col" }, t(x === "day" ? "chart.day" : "chart.time")),
            series.map((one) => el("th", { scope: "col", class: "number" }, one.label())),
          ),
        ),
        el("tbody", null, rows),
      ),
    );
  }

  function words() {
    drawLegend();
    drawWords();
    drawTable();
  }

  const resized = new ResizeObserver(() => {
    if (plot === null) draw();
    else if (canvas.clientWidth > 0) plot.setSize({ width: canvas.clientWidth, height });
  });
  resized.observe(canvas);
  const ends = [
    onLanguage(() => {
      words();
      plot?.redraw(false, true);
    }),
    onTheme(() => plot?.redraw(true, true)),
  ];
  words();

  return {
    set(nextXs, nextColumns, nextMarks = []) {
      [xs, columns, marks] = [nextXs, nextColumns, nextMarks];
      if (shown !== null && shown >= xs.length) shown = null;
      draw();
      words();
    },
    destroy() {
      resized.disconnect();
      for (const end of ends) end();
      plot?.destroy();
    },
  };
}

function swatch(one) {
  const dash = one.dash ? "3 2" : null;
  if (one.dash) {
    return svg(
      "svg",
      { class: "swatch-line", width: 14, height: 10, "aria-hidden": "true" },
      svg("line", {
        x1: 0,
        x2: 14,
        y1: 5,
        y2: 5,
        "stroke-width": 2,
        "stroke-dasharray": dash,
        style: { stroke: `var(${one.colour})` },
      }),
    );
  }
  return el("span", { class: "swatch", style: { background: `var(${one.colour})` } });
}

function describe(label, values, format) {
  const known = values.filter((value) => value !== null && value !== undefined);
  if (known.length === 0) return `${label}: ${format(null)}`;
  const [least, most] = known.reduce(
    ([a, b], value) => [Math.min(a, value), Math.max(b, value)],
    [Infinity, -Infinity],
  );
  return t("chart.describe", { label, last: format(known.at(-1)), least: format(least), most: format(most) });
}

function nearest(marks, plot, at) {
  if (!plot) return null;
  const place = plot.valToPos(at, "x");
  const far = (mark) => Math.abs(plot.valToPos(mark.at, "x") - place);
  const close = marks.filter((mark) => far(mark) <= MARK_REACH).sort((a, b) => far(a) - far(b));
  return close[0] ?? null;
}

/**
 * A line of `values` without axes, for inside a tile; null leaves a gap. Decoration: screen readers do not see it.
 * `least` and `most` are the ends of its scale.
 */
export function sparkline(values, { least = 0, most = null, width = 120, height = 28, points = 60 } = {}) {
  const step = Math.max(1, Math.ceil(values.length / points));
  const picked = values.filter((_, at) => (values.length - 1 - at) % step === 0);
  const top = Math.max(most ?? 0, ...picked.map((value) => value ?? 0)) || 1;
  let path = "";
  let pen = "M";
  picked.forEach((value, at) => {
    if (value === null || value === undefined) {
      pen = "M";
      return;
    }
    const left = (at / Math.max(1, picked.length - 1)) * width;
    const rise = Math.min(1, Math.max(0, (value - least) / (top - least || 1)));
    path += `${pen}${left.toFixed(1)} ${(height - 1 - rise * (height - 2)).toFixed(1)}`;
    pen = "L";
  });
  return svg(
    "svg",
    { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("path", { d: path || "M0 0", fill: "none", "vector-effect": "non-scaling-stroke" }),
  );
}
