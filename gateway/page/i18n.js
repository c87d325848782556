// The page's two languages, and how numbers, times and amounts are written in them.

const LOCALES = { en: "en-GB", zh: "zh-CN" };
const KEPT = "hotshelf.language";
const strings = { en: {}, zh: {} };
const listeners = new Set();
let current = first();
let formats = new Map();

/** What there is nothing to say of. */
export const NOTHING = "–";

function first() {
  let kept = null;
  try {
    kept = localStorage.getItem(KEPT);
  } catch {
    // Storage may be forbidden; then the browser's language it is.
  }
  if (kept === "zh" || kept === "en") return kept;
  for (const tag of navigator.languages ?? [navigator.language]) {
    if (/^zh\b/i.test(tag)) return "zh";
    if (/^en\b/i.test(tag)) return "en";
  }
  return "en";
}

/** `en` or `zh`. */
export const language = () => current;

/** Changes the language, remembers it, and tells all who asked by `onLanguage`. */
export function setLanguage(next) {
  if (next === current || !(next in LOCALES)) return;
  current = next;
  formats = new Map();
  try {
    localStorage.setItem(KEPT, next);
  } catch {
    // As above: then the choice lasts as long as the page.
  }
  markDocument();
  for (const listener of [...listeners]) listener(next);
}

/** Calls back after every change of the language; the answer ends that. */
export function onLanguage(callback) {
  listeners.add(callback);
  return () => listeners.delete(callback);
}

/** Adds texts: `{en: {key: text}, zh: {key: text}}`. */
export function addStrings(more) {
  Object.assign(strings.en, more.en);
  Object.assign(strings.zh, more.zh);
}

/** Whether there is a text for this key. */
export const has = (key) => key in strings[current] || key in strings.en;

/**
 * The text of a key with `{name}` replaced by `params.name` (write numbers with `number` first). For `params.n === 1` a text
 * named `key.one` goes before. A key without a text is shown as it is, so that tests find it.
 */
export function t(key, params) {
  const one = params?.n === 1 ? (strings[current][`${key}.one`] ?? null) : null;
  const text = one ?? strings[current][key] ?? strings.en[key] ?? key;
  if (!params) return text;
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = params[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? number(value) : String(value);
  });
}

/** Puts texts into all elements below `root` that have `data-t` (their text), `data-t-label` or `data-t-title`. */
export function translate(root = document) {
  for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of root.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
  for (const node of root.querySelectorAll("[data-t-title]")) node.title = t(node.dataset.tTitle);
}

/** Keeps `<html lang>` right: screen readers choose their voice by it, browsers their fonts. */
export function markDocument() {
  document.documentElement.lang = current === "zh" ? "zh-CN" : "en";
}

const known = (value) => typeof value === "number" && Number.isFinite(value);

function numbers(options) {
  return cached(`n${JSON.stringify(options)}`, () => new Intl.NumberFormat(LOCALES[current], options));
}

function dates(options) {
  return cached(`d${JSON.stringify(options)}`, () => new Intl.DateTimeFormat(LOCALES[current], options));
}

function cached(key, make) {
  let format = formats.get(key);
  if (!format) formats.set(key, (format = make()));
  return format;
}

/** A number with so many decimals at most: `12,345.6`. */
export function number(value, decimals = 0) {
  return known(value) ? numbers({ maximumFractionDigits: decimals }).format(value) : NOTHING;
}

/** A number in few characters: `12.3K`, `1.2万`. */
export function compact(value) {
  if (!known(value)) return NOTHING;
  return numbers({ notation: "compact", maximumFractionDigits: Math.abs(value) < 1000 ? 0 : 1 }).format(value);
}

/** `97.1 %` of a value that is in percent already. */
export function percent(value, decimals = 1) {
  if (!known(value)) return NOTHING;
  return numbers({ style: "percent", maximumFractionDigits: decimals, minimumFractionDigits: 0 }).format(value / 100);
}

/** A difference with its sign: `+3.2`, `−0.5`. */
export function signed(value, decimals = 1) {
  return known(value) ? numbers({ maximumFractionDigits: decimals, signDisplay: "exceptZero" }).format(value) : NOTHING;
}

/** An amount of money, in the currency of the data, which has no sign here. */
export function money(value, decimals = 2) {
  if (!known(value)) return NOTHING;
  return numbers({ minimumFractionDigits: decimals, maximumFractionDigits: decimals }).format(value);
}

/** Bytes in IEC units: `107.4 MiB`. */
export function bytes(value) {
  if (!known(value)) return NOTHING;
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let place = 0;
  let size = value;
  while (Math.abs(size) >= 1024 && place < units.length - 1) {
    size /= 1024;
    place += 1;
  }
  return `${number(size, place === 0 || size >= 100 ? 0 : 1)} ${units[place]}`;
}

/** Milliseconds as they are measured: `0.42 ms`, `85 ms`, `1.2 s`. */
export function millis(value) {
  if (!known(value)) return NOTHING;
  if (value >= 10_000) return `${number(value / 1000)} s`;
  if (value >= 1000) return `${number(value / 1000, 1)} s`;
  return `${number(value, value < 1 ? 2 : value < 10 ? 1 : 0)} ms`;
}

const STEPS = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1000],
];

/** A length of time in words, of its two largest units: `2 hours 5 minutes`, `2小时5分钟`; `style` "short": `2 hrs, 5 mins`. */
export function duration(value, style = "long") {
  if (!known(value)) return NOTHING;
  let left = Math.max(0, Math.round(value / 1000) * 1000);
  const at = STEPS.findIndex(([, size]) => left >= size);
  const parts = [];
  for (const [unit, size] of STEPS.slice(at < 0 ? 3 : at, at < 0 ? 4 : at + 2)) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0 || parts.length === 0) parts.push(numbers({ style: "unit", unit, unitDisplay: style }).format(count));
  }
  return parts.join(current === "zh" ? "" : " ");
}

/** How long ago that was, in words: `2 minutes ago`, `2分钟前`. */
export function ago(at, now = Date.now()) {
  if (!known(at)) return NOTHING;
  const gone = Math.max(0, now - at);
  const [unit, size] = STEPS.find(([, length]) => gone >= length) ?? STEPS[3];
  const format = cached("ago", () => new Intl.RelativeTimeFormat(LOCALES[current], { numeric: "always" }));
  return format.format(-Math.floor(gone / size), unit);
}

/** `14:05:09` in the reader's time zone. */
export function time(at, seconds = true) {
  if (!known(at)) return NOTHING;
  return dates({
    hour: "2-digit",
    minute: "2-digit",
    second: seconds ? "2-digit" : undefined,
    hourCycle: "h23",
  }).format(at);
}

/** `7 Mar, 14:05` in the reader's time zone. */
export function dateTime(at) {
  if (!known(at)) return NOTHING;
  return dates({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(at);
}

/** A day `2026-03-07`, which has no time zone: `7 March 2026`, or short `7 Mar`. */
export function day(text, style = "long") {
  const at = Date.parse(`${text}T00:00:00Z`);
  if (!known(at)) return NOTHING;
  const options = {
    long: { day: "numeric", month: "long", year: "numeric" },
    short: { day: "numeric", month: "short" },
    weekday: { weekday: "short", day: "numeric", month: "short" },
  }[style];
  return dates({ ...options, timeZone: "UTC" }).format(at);
}
