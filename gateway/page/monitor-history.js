// The last hour, kept here: the first event of a stream brings all of it, the later ones what is new.

const KEPT_S = 3600;
const LISTS = [
  "failed_per_second",
  "hit_percent",
  "p50_ms",
  "p95_ms",
  "p99_ms",
  "warm_lag_s",
  "cpu_percent",
  "memory_percent",
  "redis_memory_percent",
  "redis_online",
  "evictions",
  "users",
];
/** What may have answered a request, from the quickest to the slowest; the last is: no document at all. */
export const OUTCOMES = ["near", "l4", "l3", "l3-compose", "l2-compose", "l1", "source", "none"];

/** The hour so far: `add(history)`, `columns()`. */
export function createHistory() {
  // By time, so that a point that comes twice (its step was not over yet) replaces itself, and a new stream's hour merges.
  let points = new Map();
  let step = 10;

  /** Takes what an event brought. */
  function add(history) {
    if (!history?.times?.length) return;
    step = history.step_s || step;
    history.times.forEach((time, at) => {
      const point = { outcomes: OUTCOMES.map((name) => history.per_second?.[name]?.[at] ?? null) };
      for (const name of LISTS) point[name] = history[name]?.[at] ?? null;
      points.set(time, point);
    });
    const times = [...points.keys()].sort((a, b) => a - b);
    const oldest = times.at(-1) - KEPT_S;
    points = new Map(times.filter((time) => time > oldest).map((time) => [time, points.get(time)]));
  }

  /**
   * Times and columns, `outcomes` a list of columns. Where nothing was measured for a while (the gateway was away), a point of
   * unknown values keeps lines from being drawn across.
   */
  function columns() {
    const times = [];
    const all = { outcomes: OUTCOMES.map(() => []) };
    for (const name of LISTS) all[name] = [];
    const push = (time, point) => {
      times.push(time);
      OUTCOMES.forEach((_, place) => all.outcomes[place].push(point?.outcomes[place] ?? null));
      for (const name of LISTS) all[name].push(point?.[name] ?? null);
    };
    for (const [time, point] of points) {
      const before = times.at(-1);
      if (before !== undefined && time - before > 2.5 * step) push(before + step, null);
      push(time, point);
    }
    return { times, step, ...all };
  }

  return { add, columns };
}
