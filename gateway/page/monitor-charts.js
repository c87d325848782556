// The last hour in four charts that share one cursor: where answers came from as shares and as requests, how long they took,
// and how far the cache is behind. What happened is marked in each.

import { lineChart } from "./charts.js";
import { el } from "./dom.js";
import { duration, millis, number, percent, t } from "./i18n.js";
import { eventText } from "./monitor-events.js";
import { OUTCOMES } from "./monitor-history.js";
import { card } from "./parts.js";

const COLOURS = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7", "--c8"];
const SEVERITIES = { error: "--bad", warning: "--watch", info: "--muted" };
const HEIGHT = 190;

/** Draws the cards into `host`; answers `{draw(status, hour)}`. */
export function openCharts({ host }) {
  const outcome = (name, at) => ({ label: () => t(`outcome.${name}`), colour: COLOURS[at] });
  const common = { window: 3600, group: "hour", height: HEIGHT };
  const add = (name, options) => {
    const body = el("div", { class: "body" });
    host.append(card({ id: `chart-${name}`, title: `chart.${name}`, hint: `chart.${name}.hint`, body }));
    return lineChart(body, { ...common, title: () => t(`chart.${name}`), ...options });
  };
  const share = add("share", {
    series: OUTCOMES.slice(0, 7).map(outcome),
    stacked: true,
    least: 0,
    most: 100,
    format: (value) => percent(value),
    axis: (value) => percent(value, 0),
  });
  const latency = add("latency", {
    log: true,
    format: millis,
    series: [
      { label: () => t("chart.latency.p99"), colour: "--c7" },
      { label: () => t("chart.latency.p95"), colour: "--c3", dash: [6, 3] },
      { label: () => t("chart.latency.p50"), colour: "--c1" },
    ],
  });
  const requests = add("requests", {
    series: OUTCOMES.map(outcome),
    stacked: true,
    least: 0,
    format: (value) => number(value, 2),
    axis: (value) => number(value, 1),
  });
  const lag = add("lag", {
    series: [{ label: () => t("chart.lag.line"), colour: "--c2" }],
    least: 0,
    steps: [1, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 43_200, 86_400],
    format: (value) => duration(value === null ? null : value * 1000),
    axis: (value) => duration(value * 1000, "short"),
  });

  return {
    draw(status, hour) {
      const marks = (status.events ?? []).map((event) => ({
        at: event.at / 1000,
        text: () => eventText(event),
        colour: SEVERITIES[event.severity] ?? "--muted",
      }));
      share.set(hour.times, shares(hour.outcomes.slice(0, 7)), marks);
      latency.set(hour.times, [hour.p99_ms, hour.p95_ms, hour.p50_ms], marks);
      requests.set(hour.times, hour.outcomes, marks);
      lag.set(hour.times, [hour.warm_lag_s], marks);
    },
  };
}

/** Each outcome's share of all answers, in percent; nothing where nobody asked. */
function shares(columns) {
  const sums = columns[0].map((_, at) => columns.reduce((total, values) => total + (values[at] ?? 0), 0));
  return columns.map((values) =>
    values.map((value, at) => (value === null || sums[at] === 0 ? null : (value / sums[at]) * 100)),
  );
}
