// The monitor view: assembled here, each part in a file of its own.

import { el, replace } from "./dom.js";

/** Opens the view in `panel`. Answers `{update(status, first), title()}`. */
export function openMonitorView({ panel }) {
  return {
    update(status) {
      replace(panel, el("pre", null, JSON.stringify(status.requests)));
    },
    title: () => "",
  };
}
