// What the store view is asked to show: which stores and days. It is kept in the address behind `#store`, so that it can be
// shared, kept as a bookmark and gone back to.

/** The gateway answers no longer ranges, and takes no more names at once. */
export const MOST_DAYS = 366;
export const MOST_STORES = 500;
export const PRESETS = ["7", "30", "90", "month"];
export const FIRST_PRESET = "30";
/** Longer addresses get cut by mail and chat programs, so what does not fit stays out. */
const LONGEST_HASH = 4000;

const ROUTE = "#store";
const DAY_MS = 86_400_000;
const WHOLE_DAY = /^(19|20|21)\d\d-\d\d-\d\d$/;

/** Whether an address belongs to this view. */
export const isStoreHash = (hash) => hash === ROUTE || hash.startsWith(`${ROUTE}?`);

/** The address of the tab itself. */
export const isBareHash = (hash) => hash === ROUTE;

/** `2026-03-07` moved by so many days. */
export function addDays(day, days) {
  return new Date(Date.parse(`${day}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
}

/** Number of days from the first to the last, both counted. */
export function countDays(from, to) {
  return Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / DAY_MS) + 1;
}

/** Whether that is a day of the calendar; 2026-02-30 is none. */
export function isDay(text) {
  if (typeof text !== "string" || !WHOLE_DAY.test(text)) return false;
  const at = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(at) && new Date(at).toISOString().slice(0, 10) === text;
}

/** What is wrong with two days: a key of the strings, or null. Asked before the gateway is. */
export function faultOfDays(from, to) {
  if (!isDay(from) || !isDay(to)) return "store.badDay";
  if (from > to) return "store.badOrder";
  return countDays(from, to) > MOST_DAYS ? "store.badLength" : null;
}

/** The days of a preset, counted back from the last day with data, or those chosen. */
export function resolveDays(range, lastDay) {
  if (range.from) return { from: range.from, to: range.to };
  if (!lastDay) return null;
  if (range.preset === "month") return { from: `${lastDay.slice(0, 8)}01`, to: lastDay };
  return { from: addDays(lastDay, 1 - Number(range.preset)), to: lastDay };
}

/** Whether a store can be asked for by itself: the gateway splits at commas. */
export const canBeNamed = (id) => !id.includes(",");

/** Ids as one parameter's value. */
export const nameAll = (ids) => ids.map(encodeURIComponent).join(",");

/**
 * Reads an address: `{stores: [ids] | null, range, extras}`. Whatever is malformed counts as absent: an address is often
 * cut or changed on its way.
 */
export function readHash(hash) {
  const selection = { stores: null, range: { preset: FIRST_PRESET }, extras: {} };
  const at = hash.indexOf("?");
  if (!isStoreHash(hash) || at < 0) return selection;
  const values = {};
  for (const part of hash.slice(at + 1).split("&")) {
    const [name, value = ""] = part.split(/=(.*)/s);
    values[name] = value;
  }
  const ids = (values.stores ?? "").split(",").map(decode).filter((id) => id !== null && id !== "");
  if (ids.length > 0) selection.stores = [...new Set(ids)];
  const [from, to] = [decode(values.from ?? ""), decode(values.to ?? "")];
  if (faultOfDays(from, to) === null) selection.range = { from, to };
  else if (PRESETS.includes(values.range)) selection.range = { preset: values.range };
  for (const [name, value] of Object.entries(values)) {
    if (!["stores", "from", "to", "range"].includes(name)) selection.extras[name] = decode(value) ?? "";
  }
  return selection;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** The address of a selection, and whether it holds the stores too. What is as at first is left out. */
export function writeHash({ stores, range, extras }) {
  const rest = [];
  if (range.from) rest.push(`from=${range.from}`, `to=${range.to}`);
  else if (range.preset !== FIRST_PRESET) rest.push(`range=${range.preset}`);
  for (const [name, value] of Object.entries(extras)) if (value) rest.push(`${name}=${encodeURIComponent(value)}`);
  const named = stores === null ? rest : [`stores=${nameAll(stores)}`, ...rest];
  const whole = address(named);
  return whole.length <= LONGEST_HASH ? { hash: whole, complete: true } : { hash: address(rest), complete: false };
}

const address = (parts) => (parts.length === 0 ? ROUTE : `${ROUTE}?${parts.join("&")}`);
