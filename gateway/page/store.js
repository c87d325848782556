// What a store manager looks at every day: a choice of stores and days, and below it what the gateway answers to that.

import { announce, el, replace } from "./dom.js";
import { addStrings, day, onLanguage, t } from "./i18n.js";
import { createBar, goneText } from "./store-bar.js";
import { createChannels } from "./store-channels.js";
import { FIGURES } from "./store-figures.js";
import { createKpis } from "./store-kpis.js";
import { createProducts } from "./store-products.js";
import { canBeNamed, isBareHash, isStoreHash, nameAll, readHash, resolveDays, writeHash } from "./store-selection.js";
import { createStandout } from "./store-standout.js";
import { createTable } from "./store-table.js";
import { createTodo } from "./store-todo.js";
import { createTrend } from "./store-trend.js";
import { createCard } from "./store-card.js";
import { ruleStrings } from "./store-strings-rules.js";
import { strings } from "./strings-store.js";

addStrings(strings);
addStrings(ruleStrings);

/** Marks an entry of the browser's history as ours, so that going back to it means what it says. */
const OURS = { storeView: true };

/**
 * Opens the view in `panel`. Answers `{reload(), onStatus(status)}`: ask for everything anew, the list of stores too; and hear
 * what the status says of the data.
 */
export function openStoreView({ panel, api, viewer, status = null }) {
  const view = {
    api, directory: [], days: null, lastDay: null, selection: readHash(location.hash),
    path, file, label, store, choose, canChoose, extra, setExtra, trendFigure, setTrendFigure, wish, reload, changed,
    isSingle: () => (view.selection.stores?.length ?? view.directory.length) === 1,
  };
  let byId = new Map();
  let told = { viewer: JSON.stringify(viewer), lastDay: status?.data?.last_day ?? null };
  // Until the list of stores is here, and whether browsers' copies are too old for what is asked now.
  let starting = true;
  let fresh = false;
  let words = null;
  let wasLoading = true;

  const stores = createCard(view, {
    name: "list", title: "store.heading", path: () => "/v1/stores", draw: drawNone, onAnswer: () => listed(),
  });
  const bar = createBar(view);
  const kpis = createKpis(view);
  const trend = createTrend(view);
  const table = createTable(view);
  const todo = createTodo(view);
  const cards = [kpis, todo, trend, createChannels(view), table, createProducts(view)];
  const standout = createStandout(view, { table, todo });
  const news = el("p", { class: "store-news", hidden: true });
  const content = el("div", { class: "store-content" }, el("div", { class: "skeleton", "aria-hidden": "true" }, Array.from({ length: 7 }, () => el("i"))));
  replace(panel, el("div", { class: "store-view" }, news, bar.root, standout.root, content));

  // ---- Loading

  /** The list of stores first, since days are counted back from their last one; then all cards at once. */
  function reload(options = {}) {
    fresh = options.fresh ?? false;
    words = options.words ?? null;
    starting = true;
    for (const card of cards) card.stop();
    stores.load({ fresh });
  }

  /** The list came. It may also come later by itself, when the gateway was not ready at first. */
  function listed() {
    starting = false;
    const gone = takeStores();
    keep(false);
    drawNews();
    loadCards({ gone, words });
  }

  function takeStores() {
    view.directory = stores.answer.data.stores;
    byId = new Map(view.directory.map((one) => [one.store_id, one]));
    const asked = view.selection.stores ?? [];
    const gone = asked.filter((id) => !byId.has(id) || !canBeNamed(id));
    if (gone.length > 0) {
      const left = asked.filter((id) => byId.has(id) && canBeNamed(id));
      view.selection.stores = left.length > 0 ? left : null;
    }
    return gone;
  }

  function loadCards({ gone = [], words = null } = {}) {
    settleDays();
    const empty = view.directory.length === 0;
    replace(content, empty ? stores.root : cards.map((card) => card.root));
    bar.render();
    bar.tell(words, gone.length > 0 && goneText(gone), !writeHash(view.selection).complete && t("store.tooLong"));
    if (empty) {
      changed();
      return;
    }
    for (const card of cards) {
      card.reset?.();
      card.load({ fresh });
    }
    fresh = false;
  }

  /** Days are counted back from the last day that one of the chosen stores has. */
  function settleDays() {
    const chosen = view.selection.stores?.map((id) => byId.get(id)) ?? view.directory;
    view.lastDay = chosen.reduce((last, { last_day: one }) => (one !== null && (last === null || one > last) ? one : last), null);
    view.days = resolveDays(view.selection.range, view.lastDay);
  }

  /** A card's status changed: what the panel says of itself, for whoever waits for it. */
  function changed() {
    if (stores.status === "failed" && stores.root.parentNode !== content) replace(content, stores.root);
    if (!starting) standout.render();
    const state = stateNow();
    panel.dataset.state = state;
    if (state !== "loading" && wasLoading && !panel.hidden) announce(t(state === "ready" ? "store.loaded" : "store.partly"));
    wasLoading = state === "loading";
  }

  function stateNow() {
    if (stores.status === "failed") return "failed";
    if (starting) return "loading";
    if (view.directory.length === 0) return "ready";
    if (cards.some((card) => card.status === "loading")) return "loading";
    return cards.some((card) => card.status === "failed") ? "failed" : "ready";
  }

  // ---- What is asked

  function path(where, more = {}, { stores: named = true, days = view.days } = {}) {
    const parts = [];
    if (named && view.selection.stores !== null) parts.push(`stores=${nameAll(view.selection.stores)}`);
    for (const [name, value] of Object.entries(days ?? {})) parts.push(`${name}=${value}`);
    for (const [name, value] of Object.entries(more)) if (value !== null) parts.push(`${name}=${encodeURIComponent(value)}`);
    return parts.length === 0 ? where : `${where}?${parts.join("&")}`;
  }

  /** The body of a refresh. */
  function wish() {
    return { ...(view.selection.stores && { stores: view.selection.stores }), ...view.days };
  }

  function file(what) {
    return `${["hotshelf", what, view.days?.from, view.days?.to].filter(Boolean).join("-")}.csv`;
  }

  function store(id) {
    return byId.get(id) ?? { store_id: id, name: id, city: null };
  }

  /** A store's name, with its id, since names repeat. */
  function label(id) {
    const { name } = store(id);
    return name === id ? id : `${name} (${id})`;
  }

  function canChoose(id) {
    return canBeNamed(id) && !view.isSingle();
  }

  // ---- What is chosen

  function choose(changes) {
    view.selection = { ...view.selection, ...changes };
    keep(true);
    bar.follow();
    loadCards();
  }

  function extra(name) {
    return view.selection.extras[name];
  }

  /** Something that the address keeps but no other question depends on; going back does not undo it step by step. */
  function setExtra(name, value) {
    view.selection.extras = { ...view.selection.extras, [name]: value };
    keep(false);
  }

  function trendFigure() {
    return extra("figure") in FIGURES ? extra("figure") : "sales";
  }

  function setTrendFigure(name) {
    setExtra("figure", name === "sales" ? "" : name);
    if (trend.answer) trend.render();
    kpis.follow();
  }

  function keep(step) {
    // Whoever went to the other view meanwhile stays there.
    if (!isStoreHash(location.hash)) return;
    const { hash } = writeHash(view.selection);
    if (step && hash !== location.hash) history.pushState(OURS, "", hash);
    else history.replaceState(OURS, "", hash);
  }

  function readAddress() {
    if (!isStoreHash(location.hash)) return;
    const next = readHash(location.hash);
    const same = writeHash(next).hash === writeHash(view.selection).hash;
    history.replaceState(OURS, "");
    if (same || starting) return;
    view.selection = next;
    bar.follow();
    const gone = takeStores();
    keep(false);
    loadCards({ gone });
  }

  // A link followed or going back; the frame chooses the tab by the same event.
  addEventListener("popstate", readAddress);
  addEventListener("hashchange", readAddress);
  // The tab itself leads to the bare address, and means the view as it was left.
  new MutationObserver(() => {
    if (!panel.hidden && isBareHash(location.hash) && !history.state?.storeView) keep(false);
  }).observe(panel, { attributes: true, attributeFilter: ["hidden"] });

  // ---- Language, status

  function drawNone(body) {
    replace(body, view.directory.length === 0 && [
      el("p", null, t("store.noStores")), el("p", { class: "muted" }, t("store.noStoresHint"))]);
  }

  onLanguage(() => {
    bar.render();
    stores.render();
    for (const card of cards) card.render();
    standout.render();
    drawNews();
  });

  function drawNews() {
    const { lastDay } = told;
    const newer = lastDay !== null && stores.status === "ready" && view.directory.length > 0
      && view.directory.every((one) => one.last_day === null || one.last_day < lastDay);
    news.hidden = !newer;
    replace(news, newer && [t("store.newDay", { day: day(lastDay) }), " ",
      el("button", { type: "button", on: { click: () => reload({ fresh: true }) } }, t("store.showNew"))]);
  }

  /** Another viewer has logged in, or there is a new day: the first is seen to at once, the second when the reader likes. */
  function onStatus(next) {
    const who = JSON.stringify(next.viewer ?? null);
    const lastDay = next.data?.last_day ?? null;
    const refused = [stores, ...cards].some((card) => card.error?.status === 401);
    const other = who !== told.viewer;
    const fresh = lastDay !== told.lastDay;
    told = { viewer: who, lastDay };
    if (other || refused) reload();
    else if (fresh) drawNews();
  }

  reload();
  return { reload, onStatus };
}
