// What is happening now: what is wrong, the flow of power, today in numbers, each appliance.

import {post} from "./api.js";
import {askAway} from "./ask.js";
import {card} from "./card.js";
import {byId, h, icon, setText, show, tell} from "./dom.js";
import {drawFlow, headline} from "./flow.js";
import {clock, energy, money, percent, title, typeset, when} from "./format.js";

/** Fill the first view; returns `update(state)`. */
export function now() {
  const flow = drawFlow(byId("flow")), cards = new Map(), away = byId("away");
  let state = null, told = "";
  away.addEventListener("click", async () => {
    const asked = state?.away.on ? {until: "off"} : await askAway();
    if (!asked) return;
    try {
      tell((await post("away", asked)).said);
    } catch (problem) {
      tell(problem.message);
    }
  });
  setInterval(() => { if (!document.hidden) for (const one of cards.values()) one.tick(); }, 1000);

  return (fresh) => {
    state = fresh;
    for (const id of ["headline", "flow"]) byId(id).classList.remove("skeleton");
    setText(byId("headline"), headline(state.power));
    flow(state.power);
    const troubles = wrong(state);
    if (JSON.stringify(troubles) !== told) {
      told = JSON.stringify(troubles);
      byId("troubles").replaceChildren(...troubles.map(({severity, text}) => h(`p.trouble.${severity}`, {}, icon(severity), h("span", {}, typeset(text)))));
    }
    summary(state.today);
    setText(away, state.away.on ? `Away${state.away.until ? ` until ${when(state.away.until, state.at)}` : ""}: we are back` : "Away…");
    arrange(state, cards);
    for (const load of state.loads) cards.get(load.name).update(load, state.at);
  };
}

const GRAVITY = {danger: 0, warning: 1, note: 2};

function wrong(state) {
  const found = state.troubles.map(({severity, load, text}) =>
    ({severity: severity in GRAVITY ? severity : "warning", text: load && !text.startsWith(load) ? `${title(load)}: ${text}` : text}));
  if (state.meter.state === "blind" && !found.some(({text}) => /blind|meter/i.test(text))) {
    const since = state.meter.since ? ` since ${when(state.meter.since, state.at)}` : "";
    found.push({severity: "danger", text: `The meter is blind${since}. ${state.meter.detail}`.trim()});
  }
  if (state.meter.state === "waiting") found.push({severity: "note", text: "Waiting for the meter's first reading."});
  if (state.dry_run) found.push({severity: "note", text: "Dry run: everything is decided and told, nothing is switched."});
  return found.sort((one, other) => GRAVITY[one.severity] - GRAVITY[other.severity]);
}

function summary(today) {
  const rows = [["Sun today", energy(today.production_wh)], ["Own use", percent(today.self_consumption)], ["House", energy(today.consumption_wh)], ["Bought", energy(today.import_wh)], ["Sold", energy(today.export_wh)], ...(today.saved === null || today.saved === undefined ? [] : [["Saved", money(today.saved)]])];
  const list = byId("today");
  if (list.childElementCount !== rows.length) list.replaceChildren(...rows.map(([name]) => h("div", {}, h("dt", {}, name), h("dd"))));
  rows.forEach(([, text], index) => setText(list.children[index].lastElementChild, text));
}

function arrange(state, cards) {
  const names = state.loads.map((load) => load.name), root = byId("cards");
  if (root.dataset.names === JSON.stringify(names)) return;
  root.dataset.names = JSON.stringify(names);
  for (const name of cards.keys()) if (!names.includes(name)) cards.delete(name);
  for (const name of names) if (!cards.has(name)) cards.set(name, card(name));
  root.replaceChildren(...names.map((name) => cards.get(name).element));
  if (!names.length) root.append(h("p.hint", {}, "No appliance in the rule file yet."));
}

/** Say whether what is shown is alive. */
export function linkState(since, at) {
  const lost = since !== null;
  document.documentElement.classList.toggle("stale", lost);
  byId("link").classList.toggle("up", !lost);
  setText(byId("link-text"), lost ? "no connection" : `${clock(at)}`);
  show(byId("lost"), lost);
  if (lost) {
    const time = since.toLocaleTimeString("en-GB", {hour: "2-digit", minute: "2-digit"});
    setText(byId("lost"), `No connection to loadctl since ${time}. What you see is from then; it is tried again by itself.`);
  }
}
