// What happened, newest first, in words.

import { el, patch } from "./dom.js";
import { ago, dateTime, has, number, percent, t, time } from "./i18n.js";
import { badge } from "./parts.js";

const LEVELS = { error: "bad", warning: "watch", info: "none" };
const DAY_MS = 86_400_000;

/** An event in the page's language; the gateway's own words where it is of a kind that this page does not know. */
export function eventText(event) {
  const key = `event.${event.kind}`;
  if (!has(key)) return event.text ?? event.kind;
  const params = {};
  for (const [name, value] of Object.entries(event.params ?? {})) {
    params[name] =
      name === "from" || name === "to"
        ? percent(value)
        : typeof value === "number"
          ? number(value)
          : (value ?? t("unknown"));
  }
  params.by = event.params?.by ? t("event.by", { by: event.params.by }) : "";
  // What the gateway left out is left out here too.
  return t(key, params).replace(/ ?\{\w+\}/g, "");
}

/** Draws the events into `host`. */
export function drawEvents(host, status) {
  const { now } = status;
  const events = status.events ?? [];
  if (events.length === 0) {
    patch(host, el("p", { class: "muted" }, t("events.none")));
    return;
  }
  patch(
    host,
    el(
      "ol",
      { class: "events" },
      events.toReversed().map((event) => {
        const level = LEVELS[event.severity] ?? "none";
        return el(
          "li",
          { key: `${event.at}-${event.kind}`, "data-level": level },
          el("span", { class: "event-dot", "aria-hidden": "true" }),
          el(
            "div",
            null,
            el("p", null, level !== "none" && [badge(level, t(`severity.${event.severity}`)), " "], eventText(event)),
            el(
              "p",
              { class: "muted" },
              el(
                "time",
                { datetime: new Date(event.at).toISOString() },
                now - event.at > DAY_MS ? dateTime(event.at) : time(event.at),
              ),
              ` · ${ago(event.at, now)}`,
            ),
          ),
        );
      }),
    ),
  );
}
