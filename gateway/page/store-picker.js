// The chooser of stores: a dialog with a box per store, a filter, all and none. Made for one store as for a thousand.

import { el, replace, setText } from "./dom.js";
import { number, t } from "./i18n.js";
import { canBeNamed, MOST_STORES } from "./store-selection.js";

/** Boxes drawn at once; the filter finds the others, and so does "show more". */
const STEP = 100;

/** Whether a store's name, id or city has these words, in whatever case. */
export function matches(store, words) {
  const text = `${store.name}\n${store.store_id}\n${store.city ?? ""}`.toLowerCase();
  return words.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

/**
 * Opens the dialog inside `host`. `directory` is a list of stores, `chosen` a list of ids or null for all; `onChoose` gets the
 * same. Ids are what is compared, since several stores may have one name.
 */
export function pickStores(host, { directory, chosen, onChoose }) {
  // "All" is a choice of its own: it stays right when stores are added, and is what the gateway has ready.
  let all = chosen === null;
  const ticked = new Set(chosen ?? []);
  let limit = STEP;
  // Chosen ones first, as they were when the dialog was opened: they must not jump about while one is ticking.
  const first = new Set(ticked);
  const order = [...directory].sort((a, b) => Number(first.has(b.store_id)) - Number(first.has(a.store_id)));

  const title = el("h2", { id: "store-pick-title" }, t("store.pick.title"));
  const filter = el("input", {
    type: "search", id: "store-pick-filter", placeholder: t("store.pick.filter"), "aria-label": t("store.pick.filter"),
    autocomplete: "off", spellcheck: "false", on: { input: () => draw(true), keydown: enterList },
  });
  const list = el("div", {
    class: "store-pick-list", role: "group", "aria-label": t("store.pick.list"), "aria-describedby": "store-pick-keys",
    on: { change: tick, keydown: move },
  });
  const count = el("p", { class: "store-pick-count", role: "status" });
  const fault = el("p", { class: "store-fault", role: "alert" });
  const allButton = el("button", { type: "button", on: { click: () => tickAll(true) } });
  const done = el("button", { type: "submit", class: "primary" }, t("store.pick.show"));
  const form = el("form", { on: { submit: finish } },
    el("header", { class: "store-pick-head" }, title, count),
    filter,
    el("div", { class: "store-pick-tools" }, allButton,
      el("button", { type: "button", on: { click: () => tickAll(false) } }, t("store.pick.none")),
      el("span", { id: "store-pick-keys", class: "muted" }, t("store.pick.keys"))),
    list, fault,
    el("footer", { class: "store-pick-foot" },
      el("button", { type: "button", on: { click: () => dialog.close() } }, t("store.pick.cancel")), done));
  const dialog = el("dialog", { class: "store-pick", "aria-labelledby": title.id, on: { close: () => dialog.remove() } }, form);

  const isTicked = (store) => all || ticked.has(store.store_id);
  const found = () => order.filter((store) => matches(store, filter.value.trim()));

  function draw(afresh = false) {
    if (afresh) limit = STEP;
    const stores = found();
    replace(list,
      stores.length === 0 && el("p", { class: "muted" }, t("store.pick.nothing")),
      stores.slice(0, limit).map((store, at) => box(store, at === 0)),
      stores.length > limit && el("button", { type: "button", class: "store-pick-more", on: { click: showMore } },
        t("store.more", { n: Math.min(STEP, stores.length - limit) })));
    if (afresh) list.scrollTop = 0;
    drawCount();
  }

  function box(store, reachable) {
    const alone = canBeNamed(store.store_id);
    return el("label", { class: "store-pick-one", title: alone ? null : t("store.pick.comma") },
      el("input", {
        type: "checkbox", value: store.store_id, checked: isTicked(store), disabled: !alone, tabindex: reachable ? "0" : "-1",
      }),
      el("span", { class: "store-pick-name" }, store.name),
      el("span", { class: "muted" }, [store.store_id, store.city].filter(Boolean).join(" · ")),
      !alone && el("span", { class: "store-pick-comma muted" }, t("store.pick.comma")));
  }

  function drawCount() {
    const n = all ? directory.length : ticked.size;
    setText(count, t("store.pick.chosen", { n: number(n), all: number(directory.length) }));
    setText(allButton, t(filter.value.trim() === "" ? "store.pick.all" : "store.pick.allShown"));
    setText(fault, "");
  }

  function showMore() {
    const at = limit;
    limit += STEP;
    draw();
    boxes()[at]?.focus();
  }

  /** From "all" to single stores: all that can be named, and then what is unticked goes. */
  function single() {
    if (!all) return;
    all = false;
    for (const store of directory) if (canBeNamed(store.store_id)) ticked.add(store.store_id);
  }

  function tick(event) {
    single();
    if (event.target.checked) ticked.add(event.target.value);
    else ticked.delete(event.target.value);
    all = ticked.size === directory.length;
    drawCount();
  }

  /** With words in the filter, "all" means all that match; "none" is always none. */
  function tickAll(on) {
    const words = filter.value.trim();
    if (!on || words === "") {
      all = on;
      ticked.clear();
    } else if (!all) {
      for (const store of found()) if (canBeNamed(store.store_id)) ticked.add(store.store_id);
      all = ticked.size === directory.length;
    }
    draw();
  }

  function finish(event) {
    event.preventDefault();
    const message = all ? null
      : ticked.size === 0 ? t("store.pick.empty")
        : ticked.size > MOST_STORES ? t("store.pick.tooMany", { most: number(MOST_STORES) }) : null;
    setText(fault, message ?? "");
    if (message !== null) return;
    dialog.close();
    // In the directory's order, so that one choice has one address.
    onChoose(all ? null : directory.map((store) => store.store_id).filter((id) => ticked.has(id)));
  }

  const boxes = () => [...list.querySelectorAll("input:not(:disabled)")];

  function enterList(event) {
    if (event.key === "ArrowDown") {
      event.preventDefault();
      boxes()[0]?.focus();
    }
  }

  /** Arrows move between the boxes, so that Tab need not go through hundreds of them. */
  function move(event) {
    const reach = boxes();
    const at = reach.indexOf(event.target);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: reach.length - 1 }[event.key];
    if (at < 0 || next === undefined) return;
    event.preventDefault();
    if (next < 0) {
      filter.focus();
      return;
    }
    const to = reach[Math.min(next, reach.length - 1)];
    for (const one of reach) one.tabIndex = one === to ? 0 : -1;
    to.focus();
    to.scrollIntoView({ block: "nearest" });
  }

  draw();
  replace(host, dialog);
  dialog.showModal();
  filter.focus();
  return dialog;
}
