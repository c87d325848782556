// The stores that are asked for most, with bars of their heat.

import { el, patch } from "./dom.js";
import { number, t } from "./i18n.js";
import { meter, table } from "./parts.js";

/** Draws them into `host`. */
export function drawHot(host, status) {
  const hot = status.hot ?? [];
  if (hot.length === 0) {
    patch(host, el("p", { class: "words" }, t("hot.none")));
    return;
  }
  // Where all of them are hot, the word says nothing.
  const told = hot.some((store) => !store.hot);
  const most = Math.max(...hot.map((store) => store.heat ?? 0)) || 1;
  patch(
    host,
    table(
      t("hot.title"),
      [[t("hot.store")], [t("hot.heat")], ["", true], [t("hot.lines"), true]],
      hot.map((store) => [
        el(
          "span",
          { class: "hot-store" },
          el("span", { class: "muted" }, `${number(store.rank)}.`),
          el("span", { class: "hot-name" }, store.name || store.store_id),
          el("span", { class: "muted" }, store.store_id),
          told && store.hot && el("span", { class: "badge hot-badge" }, t("hot.hot")),
        ),
        el("span", { class: "hot-bar" }, meter((store.heat ?? 0) / most, store.hot ? "c6" : "c8")),
        number(store.heat, 1),
        number(store.lines),
      ]),
    ),
  );
}
