// What the edited rules would have done on a day that was, beside what the present ones would have.

import {post} from "./api.js";
import {chart, sorry} from "./chart.js";
import {h, setText} from "./dom.js";
import {clock, dayOf, energy, hours, midnight, money, percent, plusDays, title, typeset} from "./format.js";

/** Make the trial in `root`; `text()` gives the edited rules. Returns `{open(state), allow(whether)}`. */
export function whatIf(root, text) {
  const day = h("input", {type: "date", name: "day"}), run = h("button", {}, "Try them on that day");
  const said = h("div.difference", {"aria-live": "polite"}), yours = h("figure.chart"), now = h("figure.chart");
  const moments = h("div.moment"), slider = h("input", {type: "range", step: 60, "aria-label": "Moment of the tried day"});
  const result = h("div", {hidden: true}, said, h("div.pair", {}, h("div", {}, h("h3", {}, "With these rules"), yours), h("div", {}, h("h3", {}, "With the present rules"), now)),
    h("div.pointer.free", {}, slider), moments);
  const waiting = h("p.waiting", {role: "status", hidden: true}, h("span.sr", {}, "Please wait. "), "Every second of that day is lived with both rules; on a small computer this takes a minute.");
  const form = h("form.bar.try", {}, h("h2", {id: "trial-title"}, "What would these rules have done?"), h("label", {}, h("span.sr", {}, "Day"), day), run);
  root.replaceChildren(form, h("p.hint", {}, "Sun and house of a recorded day, lived again with the rules as they stand above, saved or not."), waiting, result);
  let charts = [], answer = null, busy = false, allowed = true;

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!day.value || busy) return;
    busy = true;
    settle();
    setText(run, "Living that day…");
    result.hidden = charts.length === 0;
    waiting.hidden = false;
    try {
      answer = await post("rules/replay", {text: text(), day: day.value});
      await draw();
    } catch (problem) {
      result.hidden = false;
      for (const one of charts) one.remove();
      charts = [];
      sorry(said, problem.status === 429 ? "Another trial is still running; try again in a moment." : `This day cannot be tried: ${problem.message}`);
    }
    busy = false;
    waiting.hidden = true;
    setText(run, "Try them on that day");
    settle();
  });

  const settle = () => { run.disabled = busy || !allowed; };

  async function draw() {
    result.hidden = false;
    for (const one of charts) one.remove();
    const from = midnight(answer.day), to = midnight(plusDays(answer.day, 1));
    said.replaceChildren(...compared(answer.yours.totals, answer.now.totals).map((line) => h("p", {}, line)));
    const made = (course) => ({...course, load_w: course.load_w ?? whole(course)});
    slider.min = from; slider.max = to; slider.value = (from + to) / 2;
    const point = (time) => { slider.value = time; for (const one of charts) one.point(time); tell(time); };
    charts = await Promise.all([[yours, answer.yours], [now, answer.now]].map(([figure, course]) =>
      chart(figure, made(course), {from, to, height: 200, onMoment: point})));
    slider.oninput = () => point(Number(slider.value));
    tell(Number(slider.value));
  }

  function tell(time) {
    slider.setAttribute("aria-valuetext", clock(time));
    const last = (course, name) => course.decisions.filter((one) => one.load === name && seconds(one.time) <= time).pop()?.sentence ?? "nothing decided yet";
    moments.replaceChildren(h("h3", {}, clock(time)), h("dl.versus", {}, ...Object.keys({...answer.yours.loads, ...answer.now.loads}).flatMap((name) => [
      h("dt", {}, title(name)), h("dd", {}, typeset(`these: ${last(answer.yours, name)}`)), h("dd", {}, typeset(`present: ${last(answer.now, name)}`))])));
  }

  return {
    open: (state) => { day.max = dayOf(state.at); if (!day.value) day.value = plusDays(dayOf(state.at), -1); },
    allow: (whether) => { allowed = whether; settle(); },
  };
}

const seconds = (time) => (typeof time === "number" ? time : new Date(time).getTime() / 1000);

function whole({base_w, loads}) {
  return base_w?.map((base, index) => (base === null ? null : Object.values(loads).reduce((sum, values) => sum + (values[index] ?? 0), base)));
}

/** Say in words what differs between two courses' totals. */
export function compared(yours, now) {
  const lines = [];
  const differs = (one, other, least) => one !== null && other !== null && one !== undefined && other !== undefined && Math.abs(one - other) >= least;
  if (differs(yours.import_wh, now.import_wh, 10)) lines.push(`${energy(Math.abs(yours.import_wh - now.import_wh))} ${yours.import_wh < now.import_wh ? "less" : "more"} bought: ${energy(yours.import_wh)} instead of ${energy(now.import_wh)}.`);
  if (differs(yours.export_wh, now.export_wh, 10)) lines.push(`${energy(Math.abs(yours.export_wh - now.export_wh))} ${yours.export_wh < now.export_wh ? "less" : "more"} sold: ${energy(yours.export_wh)} instead of ${energy(now.export_wh)}.`);
  if (differs(yours.self_consumption, now.self_consumption, 0.005)) lines.push(`${percent(yours.self_consumption)} of the sun used at home instead of ${percent(now.self_consumption)}.`);
  if (differs(yours.money, now.money, 0.005)) lines.push(`Cost of the day: ${money(yours.money)} instead of ${money(now.money)}.`);
  for (const name of Object.keys({...yours.loads, ...now.loads})) {
    const one = yours.loads[name], other = now.loads[name];
    if (!one || !other) { lines.push(`${title(name)}: ${one ? "only in these rules" : "not in these rules"}.`); continue; }
    const parts = [];
    if (differs(one.energy_wh, other.energy_wh, 10)) parts.push(`${energy(one.energy_wh)} instead of ${energy(other.energy_wh)}`);
    if (differs(one.grid_wh, other.grid_wh, 10)) parts.push(`${energy(one.grid_wh)} of it bought instead of ${energy(other.grid_wh)}`);
    if (differs(one.on_s, other.on_s, 60)) parts.push(`on for ${hours(one.on_s)} instead of ${hours(other.on_s)}`);
    if (one.starts !== other.starts) parts.push(`${one.starts} start${one.starts === 1 ? "" : "s"} instead of ${other.starts}`);
    if (parts.length) lines.push(`${title(name)}: ${parts.join(", ")}.`);
  }
  return lines.length ? lines : ["No difference on this day: both rules would have done the same."];
}
