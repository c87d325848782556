// The form that asks for a token, where the gateway wants one.

import { byId, setText, show } from "./dom.js";
import { onLanguage, t } from "./i18n.js";

/**
 * Controls the form in `view`. `enter(token)` tries a token and answers the error, or null if the gateway takes it.
 * Answers `{open(ended), close(), isOpen()}`; `ended`: a token that was good is not any more.
 */
export function openLogin({ view, enter }) {
  const field = byId("token");
  const error = byId("login-error");
  let words = null;

  function tell(next) {
    words = next;
    setText(error, words ? words() : "");
    if (words) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  }

  byId("login").addEventListener("submit", async (event) => {
    event.preventDefault();
    const token = field.value.trim();
    // Emptied first, so that what is announced is new even if it is the same.
    tell(null);
    if (token === "") {
      tell(() => t("login.empty"));
      field.focus();
      return;
    }
    const button = view.querySelector("button");
    button.disabled = true;
    const problem = await enter(token);
    button.disabled = false;
    if (problem === null) {
      field.value = "";
      return;
    }
    if (problem.status === 401) tell(() => t("login.wrong"));
    else tell(() => t("login.failed", { why: problem.status > 0 ? problem.message : t("shell.unreachable") }));
    field.focus();
    field.select();
  });

  onLanguage(() => words && tell(words));

  return {
    open(ended) {
      if (view.hidden) {
        show(view, true);
        tell(ended ? () => t("login.ended") : null);
      }
      field.focus();
    },
    close() {
      field.value = "";
      tell(null);
      show(view, false);
    },
    isOpen: () => !view.hidden,
  };
}
