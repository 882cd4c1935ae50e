// Dialogs: forms, questions before anything is destroyed, and short notes of what was done. What the broker refuses is shown
// with its reason where it was asked for, and nothing that was typed is lost.

import { h, replace } from "../dom.js";
import { icon } from "./icons.js";
import { field, read } from "./fields.js";

// Says for a few seconds what happened.
export function note(text, kind = "good") {
  let region = document.getElementById("notes");
  if (!region) {
    region = h("div", { id: "notes", role: "status", "aria-live": "polite" });
    document.body.append(region);
  }
  const line = h("p", { class: `note ${kind}` }, text);
  region.append(line);
  setTimeout(() => line.remove(), 6000);
}

// Opens a dialog and returns a function that closes it. Esc closes it too; the focus goes back to where it was.
export function open(title, build, { wide } = {}) {
  const before = document.activeElement;
  const dialog = h("dialog", { class: wide ? "wide" : null, "aria-labelledby": "dialog-title" });
  const close = () => dialog.close();
  dialog.onclose = () => {
    dialog.remove();
    if (before?.isConnected) before.focus();
  };
  replace(dialog, h("header", {}, h("h2", { id: "dialog-title" }, title), h("button", { type: "button", class: "bare", "aria-label": "Close", onclick: close }, icon("close"))), build(close));
  document.body.append(dialog);
  dialog.showModal();
  // What is to be filled in comes first; where there is nothing, the way out.
  dialog.querySelector("form :is(input, select, textarea), footer .button")?.focus();
  return close;
}

// Runs what a form does; shows why it could not.
async function attempt(form, submit, work) {
  const complaint = form.querySelector(".complaint");
  complaint.hidden = true;
  submit.disabled = true;
  try {
    return await work();
  } catch (error) {
    complaint.textContent = error.message;
    complaint.hidden = false;
    return false;
  } finally {
    submit.disabled = false;
  }
}

// A form in a dialog. `submit(values)` does the work and may return a text to note; returning false keeps it open.
export function form({ title, intro, fields, action, danger, submit, done, wide }) {
  open(
    title,
    (close) => {
      const go = h("button", { type: "submit", class: `button ${danger ? "danger" : "primary"}` }, action);
      const element = h(
        "form",
        {
          novalidate: true,
          onsubmit: async (event) => {
            event.preventDefault();
            const result = await attempt(element, go, async () => submit(read(element, fields)));
            if (result === false) return;
            close();
            if (typeof result === "string") note(result);
            done?.();
          },
        },
        intro ? h("div", { class: "intro" }, intro) : null,
        fields.map(field),
        h("p", { class: "complaint", role: "alert", hidden: true }),
        h("footer", {}, h("button", { type: "button", class: "button", onclick: close }, "Cancel"), go),
      );
      return element;
    },
    { wide },
  );
}

// Asks before something is done that cannot be undone.
export function confirm({ title, text, action, submit, done }) {
  form({ title, intro: text, fields: [], action, danger: true, submit, done });
}
