// The frame of the page: language, theme, login, tabs, the connection and its age. It opens the two views and hands them what
// comes in; what they show is theirs.

import { createApi } from "./api.js";
import { announce, byId, el, replace, setText, show } from "./dom.js";
import { addStrings, day, duration, language, markDocument, onLanguage, setLanguage, t, translate } from "./i18n.js";
import { openLogin } from "./login.js";
import { openMonitorView } from "./monitor.js";
import shell from "./strings-shell.js";
import { nextTheme, setTheme, theme } from "./theme.js";

const STATUS = "/v1/status";
/** From these ages on, in ms, data are a warning and an error: three and six times the beat of the stream. */
const AGE_WATCH = 15_000;
const AGE_BAD = 30_000;
/** A page that nobody sees lets go of its connection after that long. */
const HIDDEN_MS = 60_000;
const VIEWS = ["monitor", "store"];

addStrings(shell);
markDocument();

const login = openLogin({ view: byId("login-view"), enter });
const api = createApi({ onUnauthorized: askToken });
const monitor = openMonitorView({ panel: byId("view-monitor"), api });
let status = null;
let receivedAt = null;
let lost = null;
let storeView = null;
let view = "monitor";

const stream = api.stream(`${STATUS}/stream`, {
  onEvent(name, data, first) {
    if (name === "status") take(data, first);
  },
  onState(state, { error = null } = {}) {
    lost = state === "open" ? null : { error };
    drawAge();
  },
});

function take(data, first) {
  const begin = status === null;
  status = data;
  receivedAt = Date.now();
  lost = null;
  monitor.update(data, first);
  if (begin) enterPage();
  storeView?.then((opened) => opened?.onStatus?.(data)).catch(() => {});
  drawFrame();
}

/** The first status is here, so whoever looks may: tabs and views appear. */
function enterPage() {
  login.close();
  show(byId("tabs"), true);
  choose(hashView(), false);
}

// ---- Login

/** Asks the gateway whether it takes this token; answers the error, or null. */
async function enter(token) {
  api.setToken(token);
  try {
    await api.get(STATUS, { quiet: true });
  } catch (error) {
    api.setToken(null);
    return error;
  }
  stream.resume();
  return null;
}

function askToken() {
  stream.stop();
  const ended = status !== null;
  api.setToken(null);
  status = receivedAt = lost = null;
  for (const name of VIEWS) show(byId(`view-${name}`), false);
  show(byId("tabs"), false);
  show(byId("logout"), false);
  login.open(ended);
  drawAge();
}

// Everything that was shown goes with the page itself; nothing of it was ever stored.
byId("logout").addEventListener("click", () => location.reload());

// ---- Views

function hashView() {
  const name = location.hash.slice(1).split(/[/?]/)[0];
  return VIEWS.includes(name) ? name : "monitor";
}

function choose(name, byHand) {
  view = name;
  for (const other of VIEWS) {
    const tab = byId(`tab-${other}`);
    tab.setAttribute("aria-selected", String(other === name));
    tab.tabIndex = other === name ? 0 : -1;
    show(byId(`view-${other}`), other === name);
  }
  if (byHand && hashView() !== name) history.pushState(null, "", `#${name}`);
  if (name === "store") openStore();
  drawFrame();
}

/** The store view is loaded and asks its questions only when somebody wants to see it. */
function openStore() {
  if (storeView !== null) return;
  const panel = byId("view-store");
  storeView = import("./store.js")
    .then((module) => module.openStoreView({ panel, api, viewer: status?.viewer ?? null, status }))
    .catch((error) => {
      storeView = null;
      panel.dataset.state = "failed";
      replace(panel, el("p", { class: "banner", "data-level": "bad" }, t("shell.noview", { why: error.message })));
    });
}

const tabs = byId("tabs");
tabs.addEventListener("click", (event) => {
  const tab = event.target.closest("[role=tab]");
  if (tab) choose(tab.id.slice("tab-".length), true);
});
tabs.addEventListener("keydown", (event) => {
  const step = {
    ArrowRight: 1,
    ArrowLeft: -1,
    Home: -VIEWS.indexOf(view),
    End: VIEWS.length - 1 - VIEWS.indexOf(view),
  }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  choose(VIEWS[(VIEWS.indexOf(view) + step + VIEWS.length) % VIEWS.length], true);
  byId(`tab-${view}`).focus();
});
addEventListener("popstate", () => status && choose(hashView(), false));

// ---- Language and theme

byId("language").addEventListener("click", () => setLanguage(language() === "zh" ? "en" : "zh"));
byId("theme").addEventListener("click", () => {
  setTheme(nextTheme());
  drawTools();
  announce(t(`shell.theme.${theme()}`));
});
onLanguage(() => {
  drawTools();
  drawFrame();
});

const THEME_GLYPHS = { auto: "◐", light: "☀", dark: "☾" };

function drawTools() {
  translate(document);
  const other = byId("language");
  other.lang = language() === "zh" ? "en" : "zh-CN";
  setText(other, t("shell.language"));
  other.title = t("shell.language.words");
  const button = byId("theme");
  const words = t(`shell.theme.${theme()}`);
  replace(button, el("span", { "aria-hidden": "true" }, THEME_GLYPHS[theme()]), el("span", { class: "sr" }, words));
  button.title = words;
}

// ---- Heading, age and connection

function drawFrame() {
  setText(byId("heading"), t(`shell.${view}`));
  show(byId("logout"), api.hasToken() && status !== null);
  if (status) {
    setText(byId("whereabouts"), status.gateway?.name ?? "");
    colourIcon(monitor.level());
    setText(
      byId("foot"),
      t("shell.foot", {
        version: status.version,
        name: status.gateway?.name ?? t("unknown"),
        up: duration(status.now - (status.gateway?.started_at ?? status.now)),
        day: day(status.data?.last_day),
        n: status.data?.stores ?? 0,
        zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      }),
    );
  }
  document.title = [status && monitor.title(), t(`shell.${view}`), "Hotshelf"].filter(Boolean).join(" · ");
  drawAge();
}

const ICON_COLOURS = { good: "%23157a3a", watch: "%23b57700", bad: "%23c4212c" };

/** The colour of the icon, so that a tab in the background tells of trouble. */
function colourIcon(level) {
  const icon = byId("icon");
  const href = icon.href.replace(/%23[0-9a-f]{6}/, ICON_COLOURS[level]);
  if (icon.href !== href) icon.href = href;
}

let ageLevel = "none";

/** Every second: how old what you see is, by this machine's clock alone, so that a wrong clock elsewhere does not matter. */
function drawAge() {
  const box = byId("age");
  const age = receivedAt === null ? null : Date.now() - receivedAt;
  const level = age === null ? "none" : age > AGE_BAD ? "bad" : age > AGE_WATCH ? "watch" : "good";
  box.dataset.level = level;
  const words = age === null ? "" : duration(Math.floor(age / 1000) * 1000);
  setText(box, age === null ? (login.isOpen() ? "" : t("shell.age.none")) : t("shell.age", { age: words }));
  if (level !== ageLevel && (level === "bad" || level === "watch")) announce(t("shell.age.long", { age: words }));
  ageLevel = level;
  const banner = byId("connection");
  // A short loss, as when a gateway restarts, is told by the age; words come when it lasts.
  const tell = lost !== null && !login.isOpen() && (age === null || age > AGE_WATCH);
  show(banner, tell);
  if (!tell) return;
  const why =
    lost.error === null ? t("shell.ended") : lost.error.status > 0 ? lost.error.message : t("shell.unreachable");
  banner.dataset.level = "bad";
  if (!banner.firstChild) {
    replace(banner, el("span"), el("button", { type: "button", on: { click: () => stream.resume() } }));
  }
  setText(banner.firstChild, t(age === null ? "shell.lost.none" : "shell.lost", { why, age: words }));
  setText(banner.lastChild, t("shell.again"));
}

setInterval(drawAge, 1000);

let hiding = null;
let asleep = false;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) {
    hiding = setTimeout(() => {
      asleep = true;
      stream.stop();
    }, HIDDEN_MS);
  } else if (asleep) {
    asleep = false;
    if (!login.isOpen()) stream.resume();
  }
});

drawTools();
drawFrame();
