// The first thing on the page: whether all is well, and if not, what is wrong, what it means and what to do next.

import { el, patch } from "./dom.js";
import { day, number, percent, t } from "./i18n.js";
import { activeWarmer } from "./monitor-levels.js";
import { badge, commands } from "./parts.js";

/** Draws into `host`; `onShow(id)` is called with what should be shown when somebody wants to know more. */
export function openVerdict({ host, onShow }) {
  host.addEventListener("click", (event) => {
    const button = event.target.closest("[data-target]");
    if (button) onShow(button.dataset.target);
  });
  return {
    draw(status, found) {
      const level = found[0]?.level ?? "good";
      host.dataset.level = level;
      patch(
        host,
        el(
          "div",
          { class: "verdict-head" },
          el("span", { class: "verdict-glyph", "aria-hidden": "true" }, t(`level.glyph.${level}`)),
          el("div", null, el("h2", null, heading(found)), el("p", { class: "muted" }, t("verdict.sum", sums(status)))),
        ),
        found.length > 0 &&
          el(
            "ul",
            { class: "problems" },
            found.map((problem) => row(problem)),
          ),
      );
    },
  };
}

function heading(found) {
  if (found.length === 0) return t("verdict.good");
  const bad = found.filter((problem) => problem.level === "bad").length;
  const watch = found.length - bad;
  if (bad === 0) return t("verdict.watch", { n: watch });
  return t("verdict.bad", { n: bad }) + (watch > 0 ? t("verdict.and", { n: watch }) : "");
}

/** One sentence of figures that holds whatever the state is. */
function sums(status) {
  const warmer = activeWarmer(status);
  const stores = warmer?.stores ?? status.data?.stores;
  const hit = status.requests?.hit_percent ?? null;
  const parts = hit === null ? [] : [t("verdict.hits", { hit: percent(hit) })];
  if (warmer) parts.push(t("verdict.warm", { ready: number(warmer.stores_ready), stores: number(stores) }));
  else if (status.redis?.kind === "memory") parts.push(t("verdict.memory", { stores: number(stores) }));
  if (status.data?.last_day) parts.push(t("verdict.data", { day: day(status.data.last_day) }));
  return { parts: parts.join(t("verdict.comma")) };
}

function row(problem) {
  return el(
    "li",
    { key: problem.kind, "data-level": problem.level },
    el("div", { class: "problem-what" }, badge(problem.level), el("h3", null, problem.title)),
    el("p", { class: "problem-why" }, problem.why),
    el(
      "div",
      { class: "problem-next" },
      el("p", null, el("b", null, `${t("verdict.next")} `), problem.next),
      problem.commands.length > 0 && commands(problem.commands),
    ),
    problem.target &&
      el(
        "button",
        {
          type: "button",
          class: "quiet",
          "data-target": problem.target,
          "aria-label": t("verdict.more.of", { what: problem.title }),
        },
        t("verdict.more"),
      ),
  );
}
