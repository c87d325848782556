// The warmers: who writes, how far it is, how its last cycle spent its time, what it wrote and what it plans to keep.

import { el, patch } from "./dom.js";
import { ago, bytes, duration, has, millis, number, percent, t } from "./i18n.js";
import { badge, facts, meter, table } from "./parts.js";

/** Steps of a cycle, and what marks the end of each: times count from the begin of the cycle. */
const STEPS = [
  ["changes", "changes_ms", "--c1"],
  ["rank", "rank_ms", "--c3"],
  ["warm", "warm_ms", "--c6"],
  ["confirm", "duration_ms", "--c8"],
];

/** Draws all of them into `host`. */
export function drawWarmers(host, status) {
  const { redis } = status;
  const warmers = status.warmers ?? [];
  if (warmers.length === 0) {
    const key =
      redis?.kind === "memory" ? "warmers.memory" : redis?.state === "offline" ? "warmers.offline" : "warmers.none";
    patch(host, el("p", { class: "words" }, t(key)));
    return;
  }
  patch(
    host,
    warmers.map((warmer) => (warmer.role === "active" ? active(warmer, status.now) : standby(warmer, status.now))),
  );
}

function head(warmer) {
  const level = warmer.problem ? "watch" : warmer.role === "active" ? (warmer.paused ? "watch" : "good") : "none";
  const word = warmer.paused && warmer.role === "active" ? "paused" : warmer.role;
  return el(
    "div",
    { class: "warmer-head" },
    el("h3", null, warmer.instance),
    badge(level, has(`role.${word}`) ? t(`role.${word}`) : word),
    el("span", { class: "muted" }, has(`phase.${warmer.phase}`) ? t(`phase.${warmer.phase}`) : warmer.phase),
  );
}

function standby(warmer, now) {
  return el(
    "section",
    { class: "warmer", key: warmer.instance },
    head(warmer),
    el(
      "p",
      { class: "muted" },
      t("warmer.standby", { up: duration(now - warmer.started_at), told: ago(warmer.told_at, now) }),
      warmer.problem ? ` ${warmer.problem}` : "",
    ),
  );
}

function active(warmer, now) {
  const { plan, last_cycle: cycle } = warmer;
  const part = warmer.stores ? warmer.stores_ready / warmer.stores : 0;
  return el(
    "section",
    { class: "warmer", key: warmer.instance },
    head(warmer),
    warmer.problem && el("p", { class: "error" }, warmer.problem),
    cycle ? cycleBar(cycle, now) : el("p", { class: "muted" }, t("cycle.none")),
    el(
      "div",
      { class: "columns" },
      facts([
        [
          t("warmer.stores"),
          el(
            "span",
            null,
            t("warmer.stores.value", {
              ready: number(warmer.stores_ready),
              stores: number(warmer.stores),
              waiting: number(warmer.waiting),
            }),
            meter(part, part === 1 ? "good" : "watch"),
          ),
        ],
        [t("warmer.cycles"), number(warmer.cycles)],
        [t("warmer.failures"), number(warmer.failures)],
        warmer.last_failure_at && [t("warmer.failed_at"), ago(warmer.last_failure_at, now)],
        warmer.last_failure && [t("warmer.last_failure"), warmer.last_failure],
        [t("warmer.backlog"), bytes(warmer.log_backlog)],
        [t("warmer.told"), ago(warmer.told_at, now)],
      ]),
      facts([
        plan && [
          t("plan.room"),
          el(
            "span",
            null,
            t("plan.room.value", { used: bytes(plan.bytes), budget: bytes(plan.budget) }),
            meter(plan.budget ? plan.bytes / plan.budget : 0),
          ),
        ],
        plan && [
          t("plan.keeps"),
          t("plan.keeps.value", {
            answers: number(plan.answers),
            ready: number(plan.ready),
            hot: number(plan.hot),
            orders: number(plan.orders),
          }),
        ],
        warmer.shrunk && [t("plan.shrunk"), t("plan.shrunk.value")],
        warmer.stores_left_out > 0 && [t("plan.left_out"), number(warmer.stores_left_out)],
        [t("warmer.evicted"), number(warmer.evicted)],
        [
          t("warmer.process"),
          t("warmer.process.value", {
            version: warmer.version,
            up: duration(now - warmer.started_at),
            memory: bytes(warmer.memory_bytes),
          }),
        ],
      ]),
    ),
    (warmer.written ?? []).length > 0 &&
      el(
        "details",
        { class: "more" },
        el("summary", null, t("written.title")),
        table(
          t("written.title"),
          [[t("written.level")], [t("written.entries"), true], [t("written.bytes"), true]],
          warmer.written.map((level) => [
            has(`written.${level.level}`) ? t(`written.${level.level}`) : level.level,
            number(level.entries),
            bytes(level.bytes),
          ]),
        ),
      ),
  );
}

/** One bar whose pieces are as long as the steps took; the figures are written below it. */
function cycleBar(cycle, now) {
  let before = 0;
  const steps = STEPS.map(([name, field, colour]) => {
    const end = Math.max(before, cycle[field] ?? before);
    const step = { name, colour, ms: end - before };
    before = end;
    return step;
  });
  const total = Math.max(1, before);
  return el(
    "div",
    { class: "cycle" },
    el(
      "p",
      { class: "cycle-title" },
      el("b", null, t("cycle.title", { ms: millis(cycle.duration_ms), ago: ago(cycle.began, now) })),
      el("span", { class: "muted" }, t("cycle.read", { lines: number(cycle.lines_read), n: cycle.stores_warmed })),
    ),
    el(
      "div",
      { class: "cycle-bar", "aria-hidden": "true" },
      steps.map((step) =>
        el("i", {
          style: { "flex-grow": String(step.ms / total), background: `var(${step.colour})` },
        }),
      ),
    ),
    el(
      "ol",
      { class: "cycle-steps" },
      steps.map((step, at) =>
        el(
          "li",
          null,
          el("span", { class: "swatch", style: { background: `var(${step.colour})` } }),
          ` ${at + 1}. ${t(`cycle.${step.name}`)} `,
          el("b", null, millis(step.ms)),
          el("span", { class: "muted" }, ` ${percent((step.ms / total) * 100, 0)}`),
        ),
      ),
    ),
  );
}
