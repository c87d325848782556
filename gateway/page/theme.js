// Light, dark, or as the system has it. early.js applies the choice before the first paint; here it is changed.

const KEPT = "hotshelf.theme";
const ORDER = ["auto", "light", "dark"];
const listeners = new Set();
const known = new Map();
const system = matchMedia("(prefers-color-scheme: dark)");

/** `auto`, `light` or `dark`. */
export const theme = () => document.documentElement.dataset.theme ?? "auto";

/** The next one in the order auto, light, dark. */
export const nextTheme = () => ORDER[(ORDER.indexOf(theme()) + 1) % ORDER.length];

/** Changes the theme and remembers it. */
export function setTheme(next) {
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem(KEPT, next);
  } catch {
    // Storage may be forbidden; then the choice lasts as long as the page.
  }
  tell();
}

/** Calls back whenever other colours apply; the answer ends that. */
export function onTheme(callback) {
  listeners.add(callback);
  return () => listeners.delete(callback);
}

/**
 * What a custom property such as `--good` comes to now, for canvases. It is asked of an element, since the property's own
 * text may be a `light-dark()` of two colours.
 */
export function colour(property) {
  let value = known.get(property);
  if (!value) {
    const probe = document.getElementById("probe");
    probe.style.color = `var(${property})`;
    value = getComputedStyle(probe).color;
    known.set(property, value);
  }
  return value;
}

function tell() {
  known.clear();
  for (const listener of [...listeners]) listener();
}

system.addEventListener("change", () => {
  if (theme() === "auto") tell();
});
