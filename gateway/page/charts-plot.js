// What uPlot is told of a chart: scales, axes, colours, and the marks that are drawn over it.

import { day, time } from "./i18n.js";
import { colour } from "./theme.js";

/** Sums from the first series upwards. A point at which nothing is known stays unknown. */
export function stack(columns) {
  const sums = [];
  columns.forEach((values, place) => {
    const below = sums[place - 1];
    sums.push(values.map((value, at) => (value === null ? null : value + (below?.[at] ?? 0))));
  });
  return sums;
}

/** The options of uPlot for those of `lineChart`; `marks()` are drawn over it, `onCursor(index)` hears where the pointer is. */
export function settings(options, { width, height, format, marks, onCursor }) {
  const { series, stacked = false, x = "time", log = false, least = null, most = null, window: span } = options;
  const { uPlot } = globalThis;
  const axis = options.axis ?? format;
  const faint = () => colour("--line");
  const text = () => colour("--muted");
  const font = "11px system-ui, sans-serif";
  // The upper areas are drawn first and the lower ones over them, so the order of drawing is the reverse of the order of stacking.
  const lines = series.map((one) => ({
    stroke: () => colour(stacked ? "--card" : one.colour),
    fill: stacked || one.fill || one.bars ? () => colour(one.fill ?? one.colour) : undefined,
    width: stacked ? 0.5 : one.bars ? 0 : 1.75,
    dash: one.dash,
    paths: one.bars ? uPlot.paths.bars({ size: [0.7, 48] }) : undefined,
    points: { show: false },
    spanGaps: false,
  }));
  const bars = series.some((one) => one.bars);
  const day86 = 86_400;
  return {
    width,
    height,
    series: [{}, ...(stacked ? lines.reverse() : lines)],
    legend: { show: false },
    padding: [8, 16, 0, 0],
    cursor: {
      y: false,
      drag: { setScale: false, x: false, y: false },
      points: { show: !stacked },
      sync: options.group ? { key: options.group } : undefined,
    },
    drawOrder: stacked ? ["series", "axes"] : ["axes", "series"],
    tzDate: x === "day" ? (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC") : undefined,
    scales: {
      x: {
        time: true,
        range: (_, from, to) => {
          if (from === null || from === undefined) return [Date.now() / 1000 - (span ?? 3600), Date.now() / 1000];
          if (span) return [to - span, to];
          return bars || from === to ? [from - day86 / 2, to + day86 / 2] : [from, to];
        },
      },
      y: {
        distr: log ? 3 : 1,
        range: (_, from, to) => {
          const low = log ? Math.max(from ?? 0.1, 0.01) : (from ?? 0);
          const high = to || (log ? 100 : 1);
          if (log) return [10 ** Math.floor(Math.log10(low)), 10 ** Math.ceil(Math.log10(Math.max(high, low * 10)))];
          const [bottom, top] = uPlot.rangeNum(
            least === null ? Math.min(low, 0) : Math.min(least, low),
            Math.max(high, most ?? high),
            0.05,
            true,
          );
          return [least ?? bottom, most ?? (top > (least ?? bottom) ? top : bottom + 1)];
        },
      },
    },
    axes: [
      {
        stroke: text,
        font,
        size: 26,
        gap: 4,
        space: x === "day" ? 64 : 56,
        grid: { show: false },
        ticks: { stroke: faint, width: 1, size: 4 },
        incrs: x === "day" ? [1, 2, 7, 14, 28, 56, 91, 182].map((days) => days * day86) : undefined,
        values: (_, splits) =>
          splits.map((at) =>
            x === "day" ? day(new Date(at * 1000).toISOString().slice(0, 10), "short") : time(at * 1000, false),
          ),
      },
      {
        stroke: text,
        font,
        gap: 4,
        space: 32,
        grid: { stroke: faint, width: 1 },
        ticks: { show: false },
        incrs: options.steps,
        values: (_, splits) => splits.map((value) => (value === null ? "" : axis(value))),
        size: (plot, values) => {
          if (!values) return 40;
          plot.ctx.font = font;
          return Math.ceil(Math.max(...values.map((value) => plot.ctx.measureText(value ?? "").width))) + 12;
        },
      },
    ],
    hooks: {
      setCursor: [(plot) => onCursor(plot.cursor.left >= 0 && plot.cursor.idx !== null ? plot.cursor.idx : null)],
      draw: [(plot) => drawMarks(plot, marks())],
    },
  };
}

/** Vertical lines with a small flag at the top, over everything else. */
function drawMarks(plot, marks) {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  ctx.save();
  for (const mark of marks) {
    if (mark.at < plot.scales.x.min || mark.at > plot.scales.x.max) continue;
    const left = Math.round(plot.valToPos(mark.at, "x", true));
    ctx.fillStyle = ctx.strokeStyle = colour(mark.colour);
    ctx.lineWidth = ratio;
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(left, bbox.top);
    ctx.lineTo(left, bbox.top + bbox.height);
    ctx.stroke();
    ctx.beginPath();
    ctx.moveTo(left - 4 * ratio, bbox.top - 6 * ratio);
    ctx.lineTo(left + 4 * ratio, bbox.top - 6 * ratio);
    ctx.lineTo(left, bbox.top + 1 * ratio);
    ctx.fill();
  }
  ctx.restore();
}
