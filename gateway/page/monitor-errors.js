// What went wrong since the gateway started, in counts that should all be 0, and evictions within the hour.

import { el, patch } from "./dom.js";
import { number, t } from "./i18n.js";
import { badge, facts } from "./parts.js";

const COUNTS = [
  "failed",
  "timeouts",
  "shed",
  "panics",
  "slow",
  "entries_unusable",
  "access_log_dropped",
  "access_log_failed",
];

/** Draws them into `host`. */
export function drawErrors(host, status, hour) {
  const { errors, redis } = status;
  if (!errors) {
    patch(host, el("p", { class: "words" }, t("detail.operators")));
    return;
  }
  const evicted = hour.evictions.reduce((total, count) => total + (count ?? 0), 0);
  const count = (value, level = "watch") =>
    value > 0 ? el("span", { class: "count" }, number(value), level !== "none" && badge(level)) : number(value);
  patch(
    host,
    facts([
      ...COUNTS.map((name) => [
        t(`errors.${name}`),
        count(errors[name], name === "panics" ? "bad" : name === "slow" ? "none" : "watch"),
      ]),
      redis?.kind === "redis" && [t("errors.evicted.hour"), count(evicted)],
      redis?.kind === "redis" && [t("errors.evicted"), number(redis.evicted_keys)],
    ]),
    el("p", { class: "hint" }, t("errors.since")),
  );
}
