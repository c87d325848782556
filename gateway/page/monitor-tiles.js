// The tiles: one figure each with its level, its last hour as a line, and details that open below.

import { sparkline } from "./charts.js";
import { announce, el, patch, setText } from "./dom.js";
import { bytes, duration, millis, number, percent, t } from "./i18n.js";
import { details } from "./monitor-details.js";
import { levels } from "./monitor-levels.js";
import { badge } from "./parts.js";

/** Per tile: its value, the line below, and what its sparkline shows of the hour. */
const TILES = {
  redis: {
    value: ({ redis }) => t(redis?.kind === "memory" ? "tile.redis.memory" : `tile.redis.${redis?.state ?? "unknown"}`),
    sub: ({ redis }) =>
      redis?.success_percent === null || redis?.success_percent === undefined
        ? t("tile.redis.sub.none")
        : t("tile.redis.sub", { success: percent(redis.success_percent), checks: number(redis.checks) }),
    spark: (hour) => [hour.redis_online, { most: 1 }],
  },
  hit: {
    value: ({ requests }) => percent(requests?.hit_percent),
    sub: ({ requests }) => t("tile.hit.sub", { window: duration((requests?.window_s ?? 60) * 1000) }),
    spark: (hour) => [hour.hit_percent, { most: 100 }],
  },
  p99: {
    value: ({ requests }) => millis(requests?.p99_ms),
    sub: ({ requests }) => t("tile.p99.sub", { p50: millis(requests?.p50_ms), p95: millis(requests?.p95_ms) }),
    spark: (hour) => [hour.p99_ms, { most: 100 }],
  },
  rate: {
    value: ({ requests }) => number(requests?.per_second, requests?.per_second < 100 ? 1 : 0),
    sub: ({ requests }) =>
      t("tile.rate.sub", { flight: number(requests?.in_flight), failed: percent(requests?.failed_percent, 2) }),
    spark: (hour) => [hour.times.map((_, at) => sum(hour.outcomes.map((values) => values[at]))), {}],
  },
  users: {
    value: ({ users }) => number(users?.online),
    sub: ({ users }) => t("tile.users.sub", { window: duration((users?.window_s ?? 300) * 1000) }),
    spark: (hour) => [hour.users, {}],
  },
  memory: {
    value: ({ system }) => percent(system?.memory_percent, 0),
    sub: ({ system }) =>
      system
        ? t("tile.memory.sub", { used: bytes(system.memory_used), total: bytes(system.memory_total) })
        : t("tile.operators"),
    spark: (hour) => [hour.memory_percent, { most: 100 }],
  },
  cpu: {
    value: ({ system }) => percent(system?.cpu_percent, 0),
    sub: ({ system }) => (system ? t("tile.cpu.sub", { n: system.cpus }) : t("tile.operators")),
    spark: (hour) => [hour.cpu_percent, { most: 100 }],
  },
};

function sum(values) {
  const known = values.filter((value) => value !== null);
  return known.length ? known.reduce((a, b) => a + b, 0) : null;
}

/** Draws all tiles into `host`; answers `{draw(status, hour), open(name)}`. */
export function openTiles({ host }) {
  const parts = Object.fromEntries(Object.keys(TILES).map((name) => [name, build(name)]));
  host.append(...Object.values(parts).flatMap(({ tile, panel }) => [tile, panel]));
  let last = null;
  let opened = null;
  let before = null;

  host.addEventListener("click", (event) => {
    const tile = event.target.closest(".tile");
    if (tile) toggle(tile.dataset.name);
    else if (event.target.closest("[data-close]")) {
      const name = opened;
      toggle(name);
      parts[name].tile.focus();
    }
  });
  host.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || opened === null) return;
    const name = opened;
    toggle(name);
    parts[name].tile.focus();
  });

  /** At most one is open: what is told is then about one thing, and the page stays short. */
  function toggle(name) {
    opened = opened === name ? null : name;
    for (const [other, { tile, panel }] of Object.entries(parts)) {
      tile.setAttribute("aria-expanded", String(other === opened));
      panel.hidden = other !== opened;
    }
    drawDetails();
  }

  function drawDetails() {
    if (opened === null || last === null) return;
    const { content, title, close } = parts[opened];
    setText(title, t(`tile.${opened}`));
    setText(close, t("tile.close"));
    patch(content, details[opened](last));
  }

  return {
    draw(status, hour) {
      last = status;
      const now = levels(status);
      for (const [name, tile] of Object.entries(TILES)) drawTile(parts[name], name, tile, now[name], status, hour);
      tellChanges(before, now, status);
      before = now;
      drawDetails();
    },
    /** Opens one and brings it into view. */
    open(name) {
      if (opened !== name) toggle(name);
      parts[name].tile.focus();
      parts[name].tile.scrollIntoView({ block: "start" });
    },
  };
}

function build(name) {
  const id = `tile-${name}`;
  const tile = el("button", {
    type: "button",
    class: "tile",
    id,
    dataset: { name, level: "none" },
    "aria-expanded": "false",
    "aria-controls": `${id}-details`,
  });
  const title = el("h3", { id: `${id}-title` });
  const close = el("button", { type: "button", class: "quiet", "data-close": true });
  const content = el("div", { class: "tile-content" });
  const panel = el(
    "section",
    { class: "tile-details", id: `${id}-details`, "aria-labelledby": `${id}-title`, hidden: true },
    el("header", null, title, close),
    content,
  );
  return { tile, panel, title, close, content };
}

const NEUTRAL = ["rate", "users"];

function drawTile({ tile }, name, { value, sub, spark }, level, status, hour) {
  tile.dataset.level = level;
  patch(
    tile,
    el(
      "span",
      { class: "tile-head" },
      el("span", { class: "tile-name" }, t(`tile.${name}`)),
      !NEUTRAL.includes(name) && badge(level),
    ),
    el("span", { class: "value" }, value(status)),
    el("span", { class: "sub" }, sub(status)),
    sparkline(...spark(hour)),
  );
}

/** Says only what got another level: who listens wants to hear of trouble, not of figures. */
function tellChanges(before, now, status) {
  if (before === null) return;
  const changed = Object.keys(now).filter((name) => now[name] !== before[name] && now[name] !== "none");
  if (changed.length === 0) return;
  announce(
    changed
      .map((name) =>
        t("tile.told", { name: t(`tile.${name}`), level: t(`level.${now[name]}`), value: TILES[name].value(status) }),
      )
      .join(" "),
  );
}
