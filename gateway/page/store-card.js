// A card of the store view: it asks one question, and shows the answer, that it is on its way, or what went wrong. At its
// foot stands where the answer came from and how long it took.

import { announce, append, el, replace, save, setText } from "./dom.js";
import { number, t } from "./i18n.js";

/** A gateway that says when to come again is asked again by itself, but not for ever. */
const MOST_TRIES = 5;
const LONGEST_WAIT_S = 30;

/**
 * A card. `path()` is what it asks, `draw(body, answer, card)` shows the answer; `csv` is `{path(), file(), label}` where the
 * gateway offers a table. `name` names it in classes and ids, `title` is a key of the strings. `view.changed()` is called
 * whenever its `status` ("loading", "ready", "failed") changes, and then `onAnswer()` if there is an answer.
 */
export function createCard(view, { name, title, path, draw, csv = null, onAnswer = () => {} }) {
  const heading = el("h2", { id: `store-${name}-title` });
  const note = el("p", { class: "store-note" });
  const tools = el("div", { class: "store-tools" });
  const body = el("div", { class: "store-body" });
  const took = el("span", { class: "store-took" });
  const saving = csv && el("button", { type: "button", class: "store-csv", on: { click: () => download() } });
  const root = el("section", { class: `card store-card store-${name}`, id: `store-${name}`, tabindex: "-1", "aria-labelledby": heading.id },
    el("header", { class: "store-head" }, el("div", null, heading, note), tools),
    body,
    el("footer", { class: "store-foot" }, took, saving));
  const card = { root, body, note, tools, status: "loading", answer: null, error: null, load, render, stop };
  let abort = null;
  let timer = null;
  let tries = 0;

  /** Asks anew. Whatever was under way is given up, so an older answer can't come after a newer one. */
  async function load({ again = false, fresh = false } = {}) {
    stop();
    if (!again) tries = 0;
    const mine = (abort = new AbortController());
    settle("loading", card.answer, null);
    let answer = null;
    let error = null;
    try {
      answer = await view.api.get(path(), { signal: mine.signal, cache: fresh ? "no-cache" : undefined });
    } catch (caught) {
      error = caught;
    }
    if (abort !== mine) return;
    if (error === null) settle("ready", answer, null);
    else if (error.name !== "AbortError") fail(error);
  }

  function fail(error) {
    const waits = [429, 503].includes(error.status) && error.retryAfter && tries < MOST_TRIES;
    if (waits) {
      tries += 1;
      timer = setTimeout(() => load({ again: true }), Math.min(error.retryAfter, LONGEST_WAIT_S) * 1000);
    }
    settle("failed", null, error);
  }

  function settle(status, answer, error) {
    Object.assign(card, { status, answer, error });
    // What is there stays readable until the new answer comes, only dimmed; drawing it again now would be for nothing.
    if (status === "loading" && answer !== null) root.setAttribute("aria-busy", "true");
    else render();
    view.changed();
    if (status === "ready") onAnswer();
  }

  function stop() {
    abort?.abort();
    abort = null;
    clearTimeout(timer);
  }

  /** Draws everything anew, in today's language. */
  function render() {
    setText(heading, t(title));
    root.dataset.status = card.status;
    if (card.status === "loading") root.setAttribute("aria-busy", "true");
    else root.removeAttribute("aria-busy");
    if (saving) {
      setText(saving, t(csv.label ?? "store.csv"));
      saving.setAttribute("aria-label", `${t(csv.label ?? "store.csv")}: ${t(title)}`);
      saving.hidden = card.answer === null;
    }
    setText(took, card.answer ? tookText(card.answer) : "");
    took.title = t("store.tookHint");
    if (card.error) drawError();
    else if (card.answer) draw(body, card.answer, card);
    else replace(body, el("p", { class: "store-waiting muted" }, t("store.loading")));
  }

  function drawError() {
    const { title: short, detail, errors = [], requestId } = card.error;
    setText(note, "");
    replace(body, el("div", { class: "store-error" },
      el("p", { class: "store-error-title" }, el("span", { "aria-hidden": "true" }, "⚠ "), t("store.failed")),
      el("p", null, shortText(card.error.status, short), detail ? `: ${detail}` : ""),
      errors.length > 0 && el("ul", null, errors.map((one) => el("li", null, `${one.parameter}: ${one.reason}`))),
      requestId && el("p", { class: "muted" }, t("store.requestId", { id: requestId })),
      el("p", null, el("button", { type: "button", on: { click: () => load() } }, t("store.retry")), " ",
        timer !== null && tries > 0 && el("span", { class: "muted" }, t("store.waiting")))));
  }

  async function download() {
    saving.disabled = true;
    try {
      save(await view.api.blob(csv.path(), "text/csv"), csv.file());
    } catch (error) {
      const text = t("store.csvFailed", { why: error.detail ?? error.title ?? error.message });
      append(body, el("p", { class: "store-error" }, text));
      announce(text);
    }
    saving.disabled = false;
  }

  return card;
}

/** The gateway's own title, or for what never reached it one of ours. */
function shortText(status, title) {
  return status === 0 ? t("store.unreachable") : `${status} ${title ?? ""}`.trim();
}

function tookText({ outcome, stale, ms, timing }) {
  const parts = Object.values(timing ?? {});
  const params = { outcome: `${outcome ?? t("store.none")}${stale ? t("store.stale") : ""}`, ms: number(ms, ms < 10 ? 1 : 0) };
  if (parts.length === 0) return t("store.tookShort", params);
  const server = parts.reduce((sum, part) => sum + part, 0);
  return t("store.took", { ...params, server: number(server, server < 10 ? 1 : 0) });
}

/** A button that shows the rest of a list that was cut; null if nothing is left. */
export function moreButton(shown, all, step, onMore) {
  if (shown >= all) return null;
  return el("p", { class: "store-more" },
    el("button", { type: "button", on: { click: onMore } }, t("store.more", { n: Math.min(step, all - shown) })),
    el("span", { class: "muted" }, ` ${t("store.shownOf", { shown, all })}`));
}

/** One of several, as a row of buttons: `options` are `[value, text]`. */
export function choice({ label, value, options, onChoose }) {
  return el("div", { class: "choices", role: "group", "aria-label": label },
    options.map(([one, text]) => el("button", {
      type: "button", "aria-pressed": String(one === value), on: { click: () => onChoose(one) },
    }, text)));
}
