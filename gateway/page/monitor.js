// The monitor view: assembled here, each part in a file of its own. What comes in is merged into the hour and handed to all.

import { byId, el, replace } from "./dom.js";
import { addStrings, onLanguage, t, translate } from "./i18n.js";
import { openCharts } from "./monitor-charts.js";
import { drawErrors } from "./monitor-errors.js";
import { drawEvents } from "./monitor-events.js";
import { createHistory } from "./monitor-history.js";
import { drawHot } from "./monitor-hot.js";
import { openInventory } from "./monitor-inventory.js";
import { problems } from "./monitor-problems.js";
import { openTiles } from "./monitor-tiles.js";
import { openVerdict } from "./monitor-verdict.js";
import { drawWarmers } from "./monitor-warmers.js";
import { card } from "./parts.js";
import monitorTexts from "./strings-monitor.js";
import problemTexts from "./strings-problems.js";

addStrings(monitorTexts);
addStrings(problemTexts);

/** Opens the view in `panel`. Answers `{update(status, first), title(), level()}`: how many things
 * are wrong, and how bad the worst is. */
export function openMonitorView({ panel, api }) {
  const history = createHistory();
  let parts = null;
  let last = null;
  let found = [];

  function draw() {
    if (last === null) return;
    parts ??= assemble(panel, api, show);
    const hour = history.columns();
    found = problems(last);
    const steps = [
      () => parts.verdict.draw(last, found),
      () => parts.tiles.draw(last, hour),
      () => drawEvents(parts.events, last),
      () => drawWarmers(parts.warmers, last),
      () => drawHot(parts.hot, last),
      () => drawErrors(parts.errors, last, hour),
      () => parts.inventory.draw(last),
      // Last, since it takes longest and is what the eye comes to last.
      () => parts.charts.draw(last, hour),
    ];
    for (const step of steps) {
      try {
        step();
      } catch (error) {
        // A part that a newer gateway confuses must not take the others with it.
        console.error(error);
      }
    }
  }

  /** Brings into view what somebody wants to know more of: a tile's details or a card. */
  function show(id) {
    if (id.startsWith("tile-")) {
      parts.tiles.open(id.slice("tile-".length));
      return;
    }
    const target = byId(id);
    target.open = true;
    if (id === "heat") parts.inventory.filter();
    target.scrollIntoView({ block: "start" });
    target.querySelector("summary").focus({ preventScroll: true });
  }

  onLanguage(() => {
    translate(panel);
    draw();
  });

  return {
    update(status) {
      last = status;
      history.add(status.history);
      draw();
    },
    title: () => (found.length === 0 ? "" : `(${found.length})`),
    level: () => found[0]?.level ?? "good",
  };
}

function assemble(panel, api, onShow) {
  const verdictHost = el("section", {
    id: "verdict",
    class: "verdict",
    "data-t-label": "verdict.label",
    "aria-label": t("verdict.label"),
  });
  const tilesHost = el("section", {
    id: "tiles",
    class: "tiles",
    "data-t-label": "tiles.label",
    "aria-label": t("tiles.label"),
  });
  const chartsHost = el("div", { class: "charts" });
  const bodies = {};
  const add = (id, hint = null) =>
    card({ id, title: `${id}.title`, hint, body: (bodies[id] = el("div", { class: "body" })) });
  const events = add("events");
  // It scrolls within itself on wide screens, so the keyboard must reach it.
  for (const [name, value] of Object.entries({
    role: "region",
    tabindex: "0",
    "data-t-label": "events.title",
    "aria-label": t("events.title"),
  })) {
    bodies.events.setAttribute(name, value);
  }
  replace(
    panel,
    verdictHost,
    tilesHost,
    el(
      "div",
      { class: "halves" },
      el("div", { class: "stack" }, chartsHost, add("warmers"), add("heat", "heat.hint")),
      el("div", { class: "stack" }, events, add("hot", "hot.hint"), add("errors")),
    ),
  );
  return {
    verdict: openVerdict({ host: verdictHost, onShow }),
    tiles: openTiles({ host: tilesHost }),
    charts: openCharts({ host: chartsHost }),
    inventory: openInventory({ host: bodies.heat, api }),
    ...{ events: bodies.events, warmers: bodies.warmers, hot: bodies.hot, errors: bodies.errors },
  };
}
