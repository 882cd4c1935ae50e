// The form that begins a session. A wrong password and missing tags are told apart.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as session from "../session.js";

async function enter(form, done) {
  const complaint = form.querySelector(".complaint");
  const authorization = session.credentials(form.elements.name.value, form.elements.password.value);
  complaint.hidden = true;
  try {
    session.begin(authorization, await api.get("whoami", { authorization }));
  } catch (error) {
    const reasons = { "Login failed": "Name or password is wrong.", "Not management user": "This user has none of the tags management, policymaker, monitoring and administrator." };
    complaint.textContent = reasons[error.message] ?? error.message;
    complaint.hidden = false;
    form.elements.password.select();
    return;
  }
  done();
}

export default function login(message, done) {
  const form = h(
    "form",
    {
      class: "card login",
      onsubmit: (event) => {
        event.preventDefault();
        enter(form, done);
      },
    },
    h("h1", {}, h("span", { class: "mark" }), "Warren"),
    h("div", { class: "field" }, h("label", { for: "name" }, "Name"), h("input", { id: "name", name: "name", autocomplete: "username", required: true, autocapitalize: "none", spellcheck: "false" })),
    h("div", { class: "field" }, h("label", { for: "password" }, "Password"), h("input", { id: "password", name: "password", type: "password", autocomplete: "current-password" })),
    h("p", { class: "complaint", role: "alert", hidden: !message }, message),
    h("button", { type: "submit", class: "button primary" }, "Log in"),
    h("p", { class: "dim" }, "The HTTP API behind this page is described in ", h("a", { href: "api/index.html" }, "its reference"), "."),
  );
  return h("main", { id: "app", class: "entry" }, form);
}
