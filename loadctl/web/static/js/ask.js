// Questions to the person: how long by hand, a boost, away, the password.

import {login, session} from "./api.js";
import {h} from "./dom.js";
import {title} from "./format.js";

const DURATIONS = [["30 minutes", 1800], ["1 hour", 3600], ["2 hours", 7200], ["6 hours", 21600], ["24 hours", 86400], ["until I say otherwise", null]];

/** Show a dialog; resolves to what `read(form)` returns when it is confirmed, to null when it is not. */
function ask(heading, fields, confirm, read) {
  return new Promise((resolve) => {
    const fault = h("p.fault", {role: "alert"});
    const form = h("form", {method: "dialog"}, h("h2", {id: "asked"}, heading), ...fields, fault,
      h("div.choices", {}, h("button", {type: "button", on: {click: () => dialog.close()}}, "Cancel"), h("button.main", {}, confirm)));
    const dialog = h("dialog", {"aria-labelledby": "asked"}, form);
    let result = null;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      fault.textContent = "";
      try {
        result = await read(new FormData(form));
        dialog.close();
      } catch (error) {
        fault.textContent = error.message;
      }
    });
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    dialog.addEventListener("close", () => { dialog.remove(); resolve(result); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

function choices(legend, name, options, chosen) {
  return h("fieldset", {}, h("legend", {}, legend), ...options.map(([text, value], index) =>
    h("label.choice", {}, h("input", {type: "radio", name, value: String(value), checked: index === chosen}), h("span", {}, text))));
}

/** Ask for how long; resolves to `{for_s}` or null. */
export const askDuration = (load, on) => ask(`Switch ${title(load)} ${on ? "on" : "off"} by hand`,
  [choices("For how long?", "for_s", DURATIONS, 2)], on ? "Switch on" : "Switch off",
  (form) => ({for_s: form.get("for_s") === "null" ? null : Number(form.get("for_s"))}));

/** Ask for a boost; resolves to `{what, by}` or null. */
export function askBoost(load, running) {
  const examples = h("datalist", {id: "boosts"}, ...["full", "1 kWh", "3 kWh", "1 h", "2 h"].map((value) => h("option", {value})));
  const fields = [
    h("p.hint", {}, "Once more than the rules say: loadctl takes the cheapest power until then."),
    h("label", {}, "How much", h("input", {name: "what", required: true, list: "boosts", value: "full", autocomplete: "off"})), examples,
    h("p.hint", {}, "full, an energy such as 3 kWh, or a time such as 2 h"),
    h("label", {}, "By", h("input", {name: "by", type: "time"})),
    h("p.hint", {}, "Left empty: as soon as it can be."),
  ];
  if (running) fields.push(h("label.choice", {}, h("input", {type: "checkbox", name: "off"}), h("span", {}, "Take the present boost back")));
  return ask(`Boost ${title(load)}`, fields, "Boost",
    (form) => ({what: form.get("off") ? "off" : form.get("what").trim(), by: form.get("off") ? null : form.get("by") || null}));
}

/** Ask until when nobody is at home; resolves to `{until}` or null. */
export function askAway() {
  const options = [["until tomorrow", "+1 d"], ["for 3 days", "+3 d"], ["for a week", "+7 d"], ["for two weeks", "+14 d"], ["until I say otherwise", "on"], ["until the day below", "day"]];
  return ask("Nobody at home", [
    h("p.hint", {}, "Needs wait until you are back; spare power is still used."),
    choices("How long?", "until", options, 2),
    h("label", {}, "Day", h("input", {type: "date", name: "day"})),
  ], "We are away", (form) => {
    if (form.get("until") !== "day") return {until: form.get("until")};
    if (!form.get("day")) throw new Error("Choose the day on which you are back.");
    return {until: form.get("day")};
  });
}

/** Ask for the password or token and log in; resolves to whether that worked. */
export async function askLogin() {
  const kind = session.login === "token" ? "token" : "password";
  const done = await ask("Log in to change something", [
    h("p.hint", {}, kind === "token" ? "The token that loadctl printed, or that stands under web: in the rule file." : "The password that stands under web: in the rule file."),
    h("label", {}, kind === "token" ? "Token" : "Password",
      h("input", {type: "password", name: "proof", required: true, autocomplete: "current-password"})),
  ], "Log in", async (form) => {
    await login({[kind]: form.get("proof")});
    return true;
  });
  return done === true;
}

/** Ask for a plain yes. */
export const askSure = (heading, text, confirm) => ask(heading, [h("p", {}, text)], confirm, () => true);
