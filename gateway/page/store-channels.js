// Where the orders come from: each channel with its shares as bars.

import { el, replace } from "./dom.js";
import { t } from "./i18n.js";
import { createCard, moreButton } from "./store-card.js";
import { figureName, figureText, rateText } from "./store-figures.js";

/** Most shops have fewer; some have one per campaign. */
const STEP = 10;
const SHOWN = ["orders", "sales", "profit", "profit_rate"];

/** The name of a channel; orders without one are a channel too. */
export const channelName = (channel) => (channel === "" ? t("store.channels.noName") : channel);

/** The card of channels. */
export function createChannels(view) {
  let limit = STEP;
  const card = createCard(view, {
    name: "channels", title: "store.channels.title", draw,
    path: () => view.path("/v1/metrics/channels"),
    csv: { path: () => view.path("/v1/metrics/channels"), file: () => view.file("channels") },
  });

  function draw(body, { data }) {
    const { channels } = data;
    if (channels.length === 0) {
      replace(body, el("p", { class: "store-calm" }, t("store.channels.none")));
      return;
    }
    replace(body,
      el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": t("store.region", { title: t("store.channels.title") }) },
        el("table", null,
          el("thead", null, el("tr", null,
            el("th", { scope: "col" }, t("store.channels.name")),
            el("th", { scope: "col" }, t("store.channels.orderShare")),
            el("th", { scope: "col" }, t("store.channels.salesShare")),
            SHOWN.map((name) => el("th", { scope: "col", class: "number" }, figureName(name))))),
          el("tbody", null, channels.slice(0, limit).map(row)))),
      moreButton(Math.min(limit, channels.length), channels.length, STEP, () => {
        limit += STEP;
        card.render();
      }));
  }

  const row = (channel) => el("tr", null,
    el("th", { scope: "row" }, el("bdi", null, channelName(channel.channel))),
    el("td", null, bar(channel.order_share, "--c1")),
    el("td", null, bar(channel.sales_share, "--c2")),
    SHOWN.map((name) => el("td", { class: "number" }, figureText(name, channel[name]))));

  return Object.assign(card, { reset: () => (limit = STEP) });
}

/** A share of a hundred. Returns can make a channel's sales negative, and others' larger than all. */
function bar(share, colour) {
  const part = Math.min(100, Math.max(0, share));
  return el("span", { class: "store-share" },
    el("span", { class: "meter", "aria-hidden": "true" }, el("i", { style: { "--part": `${part}%`, "--fill": `var(${colour})` } })),
    el("span", { class: "number" }, rateText(share)));
}
