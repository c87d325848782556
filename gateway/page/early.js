// The one script that is not a module and runs before the first paint: without it, who chose the dark theme by day would see
// a white flash. All else waits.
(() => {
  const root = document.documentElement;
  let kept = {};
  try {
    kept = { theme: localStorage.getItem("hotshelf.theme"), language: localStorage.getItem("hotshelf.language") };
  } catch {
    // Storage may be forbidden; then the system's choice it is.
  }
  if (kept.theme === "light" || kept.theme === "dark") root.dataset.theme = kept.theme;
  const tags = kept.language ? [kept.language] : navigator.languages;
  const known = tags.find((tag) => /^(zh|en)\b/i.test(tag)) ?? "en";
  root.lang = /^zh/i.test(known) ? "zh-CN" : "en";
})();
