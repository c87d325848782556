// What is warm: asks for stores × days, keeps them current, and filters them. The grid itself is in monitor-heat.js.

import { el, patch, setText, show } from "./dom.js";
import { number, onLanguage, t } from "./i18n.js";
import { openHeat } from "./monitor-heat.js";

const DAYS = 30;
const PAGE = 500;
/** More stores than that are not asked for: nobody reads on so far, and the filter finds what is not warm among them. */
const MOST_STORES = 5000;
/** Asked again after that long even if nothing seems to have changed, and not more often than the second. */
const AGAIN_MS = 30_000;
const PAUSE_MS = 4000;

/** Draws into `host`; answers `{draw(status)}`, to be called with every status. */
export function openInventory({ host, api }) {
  const all = el("button", { type: "button", "aria-pressed": "true", on: { click: () => choose(false) } });
  const cold = el("button", { type: "button", "aria-pressed": "false", on: { click: () => choose(true) } });
  const legend = el("ul", { class: "heat-legend" });
  const message = el("p", { class: "words" });
  const note = el("p", { class: "hint", role: "status" });
  const grid = el("div");
  host.append(
    el(
      "div",
      { class: "heat-tools" },
      el(
        "div",
        { class: "choices", role: "group", "data-t-label": "heat.filter", "aria-label": t("heat.filter") },
        all,
        cold,
      ),
      legend,
    ),
    message,
    grid,
    note,
  );
  const heat = openHeat({ host: grid });
  let data = null;
  let failed = null;
  let onlyCold = false;
  let asked = 0;
  let seen = null;
  let asking = false;
  let status = null;

  function choose(next) {
    onlyCold = next;
    redraw();
  }

  async function load() {
    asked = Date.now();
    if (status?.redis?.state === "offline") {
      failed = { status: 503 };
      redraw();
      return;
    }
    asking = true;
    try {
      data = await read(api);
      failed = null;
    } catch (error) {
      failed = error;
    }
    asking = false;
    redraw();
  }

  function redraw() {
    all.setAttribute("aria-pressed", String(!onlyCold));
    cold.setAttribute("aria-pressed", String(onlyCold));
    const counts = data?.counts ?? {};
    const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
    setText(all, t("heat.all", { n: total }));
    setText(cold, t("heat.cold", { n: total - (counts.warm ?? 0) }));
    drawLegend();
    const words =
      failed !== null
        ? failure(failed)
        : data === null
          ? t("heat.loading")
          : data.stores.length === 0
            ? t("heat.none")
            : null;
    const stores = (data?.stores ?? []).filter((store) => !onlyCold || store.state !== "warm");
    show(message, words !== null || stores.length === 0);
    setText(message, words ?? (stores.length === 0 ? t("heat.allwarm") : ""));
    show(grid, failed === null && stores.length > 0);
    setText(note, data !== null && data.cut ? t("heat.cut", { n: MOST_STORES }) : "");
    if (failed === null && data !== null) heat.draw(data.days, stores, status?.now ?? data.now);
  }

  function drawLegend() {
    patch(
      legend,
      ["w", "e", "s", "c"].map((letter) =>
        el("li", null, el("i", { class: `cell cell-${letter}`, "aria-hidden": "true" }), t(`heat.${letter}`)),
      ),
    );
  }

  onLanguage(redraw);
  redraw();

  return {
    draw(next) {
      status = next;
      const now = Date.now();
      const changed = fingerprint(next);
      const due = changed !== seen ? PAUSE_MS : AGAIN_MS;
      if (asking || now - asked < due || host.closest("details")?.open === false) return;
      seen = changed;
      load();
    },
    /** Shows only what is not warm. */
    filter: () => choose(true),
  };
}

/** What tells that stores have become warm or cold. */
function fingerprint({ warmers, events, data, redis }) {
  return JSON.stringify([
    (warmers ?? []).map((warmer) => [warmer.role, warmer.stores_ready, warmer.stores, warmer.paused?.since]),
    events?.at(-1)?.at,
    data?.last_day,
    data?.confirmed_at,
    redis?.state,
  ]);
}

async function read(api) {
  const stores = [];
  let after = "";
  for (;;) {
    const { data } = await api.get(`/v1/inventory/days?days=${DAYS}&limit=${PAGE}${after}`);
    stores.push(...data.stores);
    if (data.next === null || data.next === undefined || stores.length >= MOST_STORES) {
      return { ...data, stores, cut: data.next !== null && data.next !== undefined };
    }
    after = `&after=${encodeURIComponent(data.next)}`;
  }
}

function failure(error) {
  if (error.status === 503) return t("heat.unknown");
  return t("heat.failed", {
    why: error.status > 0 ? `${number(error.status)} ${error.message}` : t("shell.unreachable"),
  });
}
