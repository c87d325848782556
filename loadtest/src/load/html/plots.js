// The plots of a report. Tables beside them say the same for who has no script or cannot see a canvas.
"use strict";
(() => {
  const report = JSON.parse(document.getElementById("report").textContent);
  const COLOURS = ["#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#17becf", "#bcbd22", "#7f7f7f"];
  const GRID = { stroke: "#8883", width: 1 };
  const plots = [];

  const ms = (v) => (v == null ? "–" : v >= 100 ? `${Math.round(v)} ms` : v >= 1 ? `${v.toFixed(1)} ms` : `${v.toFixed(3)} ms`);
  const count = (v) => (v == null ? "–" : String(Math.round(v * 10) / 10));
  const percent = (v) => (v == null ? "–" : `${v.toFixed(1)} %`);

  /** A plot in the element `id`. `series`: [{label, values, shown, scale, colour, fill}], `shown(value, row)` as the legend says it. */
  function plot(id, xs, series, options) {
    const host = document.getElementById(id);
    const drawn = series.filter((one) => one.values.some((v) => v != null));
    if (!xs.length || !drawn.length) {
      host.textContent = "There is nothing to draw.";
      return;
    }
    const scales = { x: { time: false }, y: options.log ? { distr: 3 } : { range: (_, least, most) => [Math.min(0, least), options.most ?? (most * 1.05 || 1)] } };
    const axis = (format, more) => ({ stroke: "#888", grid: GRID, size: 76, values: (_, ticks) => ticks.map((v) => (v == null ? "" : format(v))), ...more });
    const axes = [
      { stroke: "#888", grid: GRID, values: (_, ticks) => ticks.map((v) => options.x(v)), ...options.xAxis },
      axis(options.format),
    ];
    if (drawn.some((one) => one.scale === "second")) {
      scales.second = { range: (_, least, most) => [0, most * 1.05 || 1] };
      axes.push(axis(options.second, { scale: "second", side: 1, grid: { show: false } }));
    }
    const lines = drawn.map((one, at) => ({
      label: one.label,
      scale: one.scale ?? "y",
      stroke: one.colour ?? COLOURS[at % COLOURS.length],
      fill: one.fill ? one.colour : undefined,
      width: 1.5,
      spanGaps: false,
      points: { show: xs.length < 60 && !one.fill },
      value: (_, v, __, row) => (row == null ? "–" : (one.shown ?? options.format)(v, row)),
    }));
    const width = () => Math.max(320, host.clientWidth);
    const data = [xs, ...drawn.map((one) => one.values.map((v) => (options.log && v != null ? Math.max(v, 0.001) : v)))];
    const cursor = options.group ? { sync: { key: options.group } } : {};
    const xLine = { label: options.xLabel, value: (_, v) => (v == null ? "–" : options.x(v)) };
    const made = new uPlot({ width: width(), height: 260, scales, axes, cursor, series: [xLine, ...lines] }, data, host);
    plots.push(() => made.setSize({ width: width(), height: 260 }));
  }

  const course = report.series;
  const seconds = course.requests.map((_, row) => (row + 1) * course.row_seconds);
  const overTime = { x: (v) => `${v} s`, xLabel: "after", group: "time" };
  const perSecond = (values) => values.map((v) => v / course.row_seconds);
  // A column of something that was not met any more may be shorter.
  const whole = (values, empty) => seconds.map((_, row) => values[row] ?? empty);

  plot("latency", seconds, [
    { label: "p50", values: course.p50_ms },
    { label: "p99", values: course.p99_ms },
    { label: "max", values: course.max_ms },
  ], { ...overTime, log: true, format: ms });

  plot("routes", seconds, Object.entries(course.route_p99_ms).map(([label, values]) => ({ label, values: whole(values, null) })),
    { ...overTime, log: true, format: ms });

  plot("throughput", seconds, [
    { label: "requests/s", values: perSecond(course.requests) },
    { label: "failures/s", values: perSecond(course.failures) },
    { label: "in flight", values: course.in_flight, scale: "second" },
  ], { ...overTime, format: count, second: count });

  // Shares one upon another; the highest sum is drawn first, so that the lower ones cover it.
  const LADDER = { near: "#2e7d32", l4: "#66bb6a", l3: "#1f77b4", "l3-compose": "#64b5f6", "l2-compose": "#9467bd", l1: "#ffb300", source: "#d62728", none: "#7f7f7f" };
  const names = Object.keys(LADDER).filter((name) => course.outcomes[name]);
  const columns = names.map((name) => whole(course.outcomes[name], 0));
  const sums = seconds.map((_, row) => columns.reduce((sum, column) => sum + column[row], 0));
  const share = (sum, row) => (sums[row] ? (sum * 100) / sums[row] : null);
  const stacked = names.map((label, at) => ({
    label,
    colour: LADDER[label],
    fill: true,
    values: seconds.map((_, row) => share(columns.slice(0, at + 1).reduce((sum, column) => sum + column[row], 0), row)),
    shown: (_, row) => percent(share(columns[at][row], row)),
  }));
  plot("outcomes", seconds, stacked.reverse(), { ...overTime, format: percent, most: 100 });

  // Every nine of a percentile takes as much room as the one before.
  const place = (p) => -Math.log10(1 - p / 100);
  const kept = report.latency.percentiles.map(([p]) => p);
  plot("distribution", kept.map(place), [["all", report.latency], ...Object.entries(report.routes).map(([kind, route]) => [kind, route.latency])]
    .map(([label, latency]) => ({ label, values: kept.map((_, at) => latency.percentiles[at]?.[1] ?? null) })),
    {
      log: true, format: ms, xLabel: "percentile",
      x: (v) => `${+(100 - 100 * 10 ** -v).toFixed(2)} %`,
      xAxis: { splits: () => [0, 50, 90, 99, 99.9, 99.99].map(place) },
    });

  const looks = [...new Set(report.servers.flatMap((server) => server.seconds.map(Math.round)))].sort((a, b) => a - b);
  const at = (server, values) => {
    const known = new Map(server.seconds.map((second, row) => [Math.round(second), values[row]]));
    return looks.map((second) => known.get(second) ?? null);
  };
  plot("servers", looks, report.servers.flatMap((server) => [
    { label: `CPU ${server.gateway}`, values: at(server, server.cpu_percent) },
    { label: `memory ${server.gateway}`, values: at(server, server.memory.map((v) => (v == null ? null : v / 1048576))), scale: "second", shown: (v) => (v == null ? "–" : `${Math.round(v)} MiB`) },
  ]), { ...overTime, format: percent, most: 100, second: (v) => `${Math.round(v)} MiB` });

  addEventListener("resize", () => plots.forEach((fit) => fit()));
  document.documentElement.dataset.plots = String(plots.length);
})();
