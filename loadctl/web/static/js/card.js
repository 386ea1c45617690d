// One appliance: its state, the reason in a sentence, what it had today, and the buttons.

import {post} from "./api.js";
import {askBoost, askDuration, askSure} from "./ask.js";
import {h, icon, s, setAttribute, setText, show, tell} from "./dom.js";
import {energy, hours, percent, span, title, typeset, watts, when} from "./format.js";

const MODES = {off: "Off", solar: "Sun only", "solar+min": "Sun, but always a little", fast: "As fast as it can"};
const MARKS = {on: "M6 12a6 6 0 1 0 12 0 6 6 0 1 0-12 0z", off: "M6 12a6 6 0 1 0 12 0 6 6 0 1 0-12 0zM8 12a4 4 0 1 1 8 0 4 4 0 1 1-8 0z", starting: "M12 6a6 6 0 0 1 0 12z", stopping: "M12 6a6 6 0 0 0 0 12z", fault: "M12 4 3 20h18z"};

/** Make the card of the load `name`; returns `{element, update(load, at), tick()}`. */
export function card(name) {
  const mark = s("path"), word = h("span"), held = h("span.held"), power = h("p.power");
  const sentence = h("p.sentence"), second = h("p.second"), countdown = h("p.countdown"), detail = h("p.detail");
  const fill = h("span"), bar = h("div.fill", {"aria-hidden": "true"}, fill);
  const needs = h("ul.needs"), boosts = h("p.boosts");
  const sunPart = h("span.sun"), had = h("p.had"), split = h("div.split", {"aria-hidden": "true"}, sunPart);
  const kind = h("span.kind");
  const buttons = Object.fromEntries([["auto", "Auto"], ["on", "On…"], ["off", "Off…"]].map(([state, text]) =>
    [state, h("button", {type: "button", "data-do": state, "aria-label": `${title(name)}: ${text.replace("…", "")}`, on: {click: () => override(state)}}, text)]));
  const mode = h("select", {"aria-label": `Mode of ${title(name)}`, on: {change: () => act(`loads/${encodeURIComponent(name)}/mode`, {mode: mode.value})}});
  const modes = h("label.mode", {}, h("span", {}, "Mode"), mode);
  const boost = h("button", {type: "button", "data-do": "boost", "aria-label": `Boost ${title(name)}`, on: {click: askForBoost}}, "Boost…");
  const adopt = h("button", {type: "button", "data-do": "adopt", hidden: true, on: {click: askToAdopt}}, "It was replaced…");
  const element = h("article.card", {"data-load": name, "aria-label": title(name)},
    h("header", {}, kind, h("h3", {}, title(name)), h("p.state", {}, s("svg", {viewBox: "0 0 24 24", "aria-hidden": "true"}, mark), word)),
    h("div.gauge", {}, power, held), bar, sentence, detail, second, countdown, needs, boosts, had, split,
    h("div.hands", {}, h("div.segments", {role: "group", "aria-label": `Who decides about ${title(name)}`}, ...Object.values(buttons)), boost, adopt), modes);
  let load = null, received = 0;

  async function act(path, body) {
    element.setAttribute("aria-busy", "true");
    try {
      tell((await post(path, body)).said);
    } catch (problem) {
      tell(`${title(name)}: ${problem.message}`);
    } finally {
      element.removeAttribute("aria-busy");
      if (load) mode.value = load.mode;
    }
  }

  async function override(state) {
    const asked = state === "auto" ? {for_s: null} : await askDuration(name, state === "on");
    if (asked) await act(`loads/${encodeURIComponent(name)}/override`, {state, ...asked});
  }

  async function askForBoost() {
    const asked = await askBoost(name, load?.boosts?.length > 0);
    if (asked) await act(`loads/${encodeURIComponent(name)}/boost`, asked);
  }

  async function askToAdopt() {
    const sure = await askSure(`${title(name)}: another device`, "Is the device that answers there now the right one? loadctl will switch it from now on.", "It is the right one");
    if (sure) await act(`loads/${encodeURIComponent(name)}/adopt`, {});
  }

  function update(now, at) {
    load = now;
    received = performance.now();
    setAttribute(element, "data-state", now.state);
    setAttribute(mark, "d", MARKS[now.state] ?? MARKS.off);
    if (!kind.firstChild) kind.append(icon(now.kind in {switch: 1, dimmer: 1, charger: 1} ? now.kind : "switch"));
    setText(word, now.state);
    setText(held, heldBy(now, at));
    setText(power, watts(now.power_w) + (now.amps ? `  ·  ${Number(now.amps.toPrecision(3))} A${now.phases ? ` × ${now.phases}` : ""}` : ""));
    const most = Math.max(now.nominal_w || 0, now.power_w || 0, 1);
    fill.style.inlineSize = `${Math.min(100, ((now.power_w || 0) / most) * 100)}%`;
    setText(sentence, typeset(now.sentence));
    setText(second, now.second ? `then: ${typeset(now.second)}` : "");
    setText(detail, now.detail && !now.sentence.includes(now.detail) ? typeset(now.detail) : "");
    needs.replaceChildren(...now.needs.map((need) => needRow(need, at)));
    setText(boosts, typeset(now.boosts.map((one) => `Boost: ${one.text}`).join(" · ")));
    setText(had, today(now));
    const whole = (now.today.sun_wh || 0) + (now.today.grid_wh || 0);
    sunPart.style.inlineSize = whole > 0 ? `${(100 * (now.today.sun_wh || 0)) / whole}%` : "0";
    setAttribute(split, "data-empty", String(!(whole > 0)));
    const state = now.override ? (now.override.on ? "on" : "off") : "auto";
    for (const [which, button] of Object.entries(buttons)) setAttribute(button, "aria-pressed", String(which === state));
    show(modes, now.kind !== "switch" && now.modes.length > 1);
    if (mode.options.length !== now.modes.length) mode.replaceChildren(...now.modes.map((one) => h("option", {value: one}, MODES[one] ?? one)));
    if (document.activeElement !== mode && mode.value !== now.mode) mode.value = now.mode;
    show(adopt, now.state === "fault" && /adopt/.test(`${now.detail} ${now.sentence}`));
    for (const part of [held, second, detail, boosts]) show(part, part.textContent !== "");
    tick();
  }

  function tick() {
    if (!load) return;
    const left_s = load.next_change_s === null ? null : load.next_change_s - (performance.now() - received) / 1000;
    setText(countdown, left_s === null ? "" : left_s < 1 ? "can change at any moment" : `next change in ${span(left_s)} at the earliest`);
    show(countdown, countdown.textContent !== "");
  }

  return {element, update, tick};
}

function heldBy(load, at) {
  const until = load.override?.until ?? load.hand_until;
  if (load.override) return `by hand${until ? ` until ${when(until, at)}` : ""}`;
  if (load.held_by === "hand") return `held by hand${until ? ` until ${when(until, at)}` : ""}`;
  if (load.held_by === "need") return "for its need";
  return "";
}

function today({today: had, session, max_starts}) {
  const starts = `${had.starts}${max_starts ? ` of ${max_starts}` : ""} start${had.starts === 1 && !max_starts ? "" : "s"}`;
  const sun = had.sun_wh === null || !(had.energy_wh > 0) ? "" : ` (${energy(had.sun_wh)} sun, ${energy(had.grid_wh)} grid)`;
  const car = session ? ` · this charge ${energy(session.energy_wh)}${session.sun_share === null ? "" : `, ${percent(session.sun_share)} sun`}` : "";
  return `Today ${energy(had.energy_wh)}${sun} · ${hours(had.runtime_s)} · ${starts}${car}`;
}

function needRow(need, at) {
  const left = need.progress !== null && need.progress >= 1 ? "done" : need.left ? `${need.left} to go` : "";
  const due = need.due && !/\d\d:\d\d/.test(need.text) ? ` by ${when(need.due, at)}` : "";
  return h("li", {}, h("span", {}, typeset(`Needs ${need.text}${due}`)), h("span", {}, [typeset(left), need.forced ? "now, whatever the sun" : ""].filter(Boolean).join(", ")),
    need.progress === null ? null : h("progress", {max: 1, value: Math.min(1, need.progress), "aria-label": `${need.text}: ${percent(Math.min(1, need.progress))}`}));
}
