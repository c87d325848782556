// The bar above the store view: which stores, which days, refresh.

import { announce, el, replace, setText } from "./dom.js";
import { day, number, t, time } from "./i18n.js";
import { choice } from "./store-card.js";
import { pickStores } from "./store-picker.js";
import { countDays, faultOfDays, MOST_DAYS, PRESETS } from "./store-selection.js";

/** More names than that would push everything else off a small screen. */
const MOST_IDS_TOLD = 5;

/** The bar; `render()` draws it anew. */
export function createBar(view) {
  const root = el("div", { class: "store-bar" });
  const dialogs = el("div");
  const pick = el("button", { type: "button", id: "store-pick-open", class: "store-pick-open", "aria-haspopup": "dialog", on: { click: openPicker } });
  const all = el("button", { type: "button", class: "quiet store-all-again", on: { click: chooseAll } });
  const range = el("div", { class: "store-range" });
  const custom = createCustom(view, () => {
    open = false;
    render();
  });
  const refresh = el("button", { type: "button", id: "store-refresh", on: { click: askFresh } });
  const shown = el("p", { class: "store-shown" });
  const told = el("div", { class: "store-told" });
  root.append(
    el("div", { class: "store-controls" }, pick, all, range, refresh),
    custom.root, shown, told, dialogs);
  // The fields may be open before other days are chosen with them.
  let open = view.selection.range.from !== undefined;

  function openPicker() {
    pickStores(dialogs, {
      directory: view.directory, chosen: view.selection.stores, onChoose: (stores) => view.choose({ stores }),
    });
  }

  function chooseAll() {
    view.choose({ stores: null });
    // The button is gone now.
    pick.focus();
  }

  async function askFresh() {
    refresh.disabled = true;
    setText(refresh, t("store.refreshing"));
    let words;
    try {
      const { requested_at: at } = await view.api.post("/v1/refresh", view.wish());
      words = t("store.refreshed", { time: time(at) });
    } catch (error) {
      words = t("store.refreshFailed", { why: error.detail ?? error.title ?? error.message });
    }
    refresh.disabled = false;
    setText(refresh, t("store.refresh"));
    // Even if the warmer can't be told: what it has done by itself since is worth asking for.
    view.reload({ fresh: true, words });
  }

  /** A sentence below the bar until the next one, also read out. */
  function tell(...words) {
    replace(told, words.filter(Boolean).map((text) => el("p", null, text)));
    if (words[0]) announce(words[0]);
  }

  function render() {
    const { range: chosen, stores } = view.selection;
    all.hidden = stores === null;
    setText(all, t("store.allAgain"));
    replace(pick, el("span", { class: "store-pick-label" }, t("store.choose")), " ", el("b", null, storesText(view)),
      el("span", { class: "store-caret", "aria-hidden": "true" }, "▾"));
    pick.disabled = view.directory.length === 0;
    replace(range, choice({
      label: t("store.range"), value: open ? "custom" : chosen.preset ?? "custom",
      options: [...PRESETS, "custom"].map((one) => [one, t(`store.range.${one}`)]), onChoose: chooseRange,
    }));
    setText(refresh, t("store.refresh"));
    refresh.title = t("store.refreshHint");
    custom.root.hidden = !open;
    custom.render();
    const { days } = view;
    const n = days && countDays(days.from, days.to);
    replace(shown, days && t("store.shown", {
      stores: storesText(view),
      from: day(days.from), to: day(days.to), days: t("store.days", { n }),
    }), days && !chosen.from && el("span", { class: "muted" }, ` ${t("store.range.note", { day: day(view.lastDay) })}`));
  }

  function chooseRange(value) {
    open = value === "custom";
    if (open) {
      render();
      custom.focus();
      return;
    }
    view.choose({ range: { preset: value } });
    // Drawing made new buttons; who used the keyboard must not be thrown to the top of the page.
    range.querySelector("[aria-pressed=true]")?.focus();
  }

  return { root, render, tell, follow: () => (open = view.selection.range.from !== undefined) };
}

function storesText(view) {
  const ids = view.selection.stores;
  if (ids === null) return t("store.all", { n: view.directory.length });
  if (ids.length > 1) return t("store.some", { n: ids.length });
  return view.label(ids[0]);
}

/** What of an address could not be used, in a sentence. */
export function goneText(ids) {
  const told = ids.slice(0, MOST_IDS_TOLD).join(", ");
  return t("store.gone", { ids: ids.length > MOST_IDS_TOLD ? `${told} … (${number(ids.length)})` : told });
}

/** Two days of one's own. They are checked here first, so that a slip costs no request. */
function createCustom(view, onApplied) {
  const field = (id) => el("input", { type: "date", id, required: true, "aria-describedby": "store-days-fault" });
  const [from, to] = [field("store-from"), field("store-to")];
  const labels = [el("label", { for: "store-from" }), el("label", { for: "store-to" })];
  const fault = el("p", { class: "store-fault", id: "store-days-fault", role: "alert" });
  const apply = el("button", { type: "submit", class: "primary" });
  const root = el("form", { class: "store-custom", novalidate: true, on: { submit: take } },
    el("span", { class: "store-field" }, labels[0], from), el("span", { class: "store-field" }, labels[1], to), apply, fault);
  let wrong = null;

  function take(event) {
    event.preventDefault();
    wrong = faultOfDays(from.value, to.value);
    drawFault();
    if (wrong !== null) {
      (wrong === "store.badDay" && from.value !== "" ? to : from).focus();
      return;
    }
    view.choose({ range: { from: from.value, to: to.value } });
    onApplied();
  }

  function drawFault() {
    const n = wrong === "store.badLength" ? countDays(from.value, to.value) : 0;
    setText(fault, wrong === null ? "" : t(wrong, { n, most: MOST_DAYS }));
    for (const one of [from, to]) {
      if (wrong === null) one.removeAttribute("aria-invalid");
      else one.setAttribute("aria-invalid", "true");
    }
  }

  function render() {
    setText(labels[0], t("store.from"));
    setText(labels[1], t("store.to"));
    setText(apply, t("store.apply"));
    if (view.days && document.activeElement !== from && document.activeElement !== to) {
      from.value = view.days.from;
      to.value = view.days.to;
    }
    drawFault();
  }

  return { root, render, focus: () => from.focus() };
}
