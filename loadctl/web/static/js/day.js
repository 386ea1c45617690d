// One day: its powers, what each load did and why, moment by moment.

import {get} from "./api.js";
import {chart, reading, sorry} from "./chart.js";
import {h, setText} from "./dom.js";
import {clock, dayName, dayOf, energy, midnight, percent, plusDays, title, typeset} from "./format.js";

const LENGTH_S = {minute: 60, quarter: 900, hour: 3600, day: 86400};
const FRESH_MS = 60000; // the chart of today is drawn anew so often

/** Make the view; returns `{open(day, state)}`. */
export function view(root) {
  const heading = h("h1", {id: "day-title"}), picker = h("input", {type: "date", "aria-label": "Day"});
  const back = h("button", {type: "button", "aria-label": "The day before"}, "‹"), forth = h("button", {type: "button", "aria-label": "The day after"}, "›");
  const now = h("a.button", {href: "#day"}, "Today"), sums = h("p.sums"), figure = h("figure.chart");
  const slider = h("input", {type: "range", step: 60, "aria-label": "Moment of the day"});
  const moment = h("div.moment"), table = h("div.scroll", {tabindex: 0, role: "group", "aria-label": "The day as a table"}), decisions = h("ol.decisions");
  root.replaceChildren(
    h("div.bar.days", {}, heading, h("div.choices", {}, back, picker, forth, now)), sums, figure,
    h("div.pointer", {}, slider), moment,
    h("details", {}, h("summary", {}, "Every decision of the day"), decisions), h("details", {}, h("summary", {}, "The day as a table"), table));
  let day = null, today = null, drawn = null, data = null, told = [], asked = 0, names = [];

  const go = (other) => { location.hash = other === today ? "#day" : `#day/${other}`; };
  back.addEventListener("click", () => go(plusDays(day, -1)));
  forth.addEventListener("click", () => go(plusDays(day, 1)));
  picker.addEventListener("change", () => { if (picker.value) go(picker.value); });
  slider.addEventListener("input", () => { drawn?.point(Number(slider.value)); tell(Number(slider.value)); });
  setInterval(() => { if (!root.hidden && !document.hidden && day === today && day !== null) load(true); }, FRESH_MS);

  function open(wanted, state) {
    today = dayOf(state.at);
    names = state.loads.map((one) => one.name);
    day = /^\d{4}-\d\d-\d\d$/.test(wanted ?? "") ? wanted : today;
    setText(heading, dayName(day));
    picker.value = day;
    picker.max = today;
    forth.disabled = day >= today;
    load(false);
  }

  async function load(again) {
    const turn = ++asked, from = midnight(day), to = midnight(plusDays(day, 1));
    if (!again) { figure.setAttribute("aria-busy", "true"); }
    const range = {from: new Date(from * 1000).toISOString(), to: new Date(to * 1000).toISOString()};
    try {
      const [history, decided, totals] = await Promise.all([
        get("history", {...range, resolution: "auto"}), get("decisions", {...range, limit: 2000}), get("totals", {by: "day", from: day, to: day})]);
      if (turn !== asked) return;
      data = {...history, loads: inOrder(history.loads)};
      told = decided.decisions.map((one) => ({...one, time: new Date(one.time).getTime() / 1000})).sort((one, other) => one.time - other.time);
      drawn?.remove();
      drawn = null;
      delete figure.dataset.day;
      total(totals.rows.find((row) => row.period === day));
      if (!data.time.length) {
        sorry(figure, day === today ? "Nothing is recorded of today yet; the first minutes come soon." : "Nothing is recorded of this day.");
        moment.replaceChildren(); decisions.replaceChildren(); table.replaceChildren();
        return;
      }
      slider.min = from; slider.max = to; slider.value = Math.min(Number(slider.value) > from && again ? Number(slider.value) : data.time[data.time.length - 1], to);
      drawn = await chart(figure, data, {from, to, onMoment: (time) => { slider.value = time; tell(time); }});
      if (turn !== asked) return;
      figure.dataset.day = day;
      tell(Number(slider.value));
      list();
      rows();
    } catch (problem) {
      if (turn !== asked) return;
      drawn?.remove();
      drawn = null;
      sorry(figure, `This day cannot be shown: ${problem.message}`);
    } finally {
      figure.removeAttribute("aria-busy");
    }
  }

  /** The most important first, as everywhere; then those that are no longer in the rules. */
  function inOrder(found) {
    const place_ = (name) => (names.includes(name) ? names.indexOf(name) : names.length);
    return Object.fromEntries(Object.entries(found).sort(([one], [other]) => place_(one) - place_(other)));
  }

  function total(row) {
    const known = row ?? {};
    const parts = [["sun", known.production_wh], ["bought", known.import_wh], ["sold", known.export_wh]].filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => `${energy(value)} ${name}`);
    if (known.self_consumption !== null && known.self_consumption !== undefined) parts.push(`${percent(known.self_consumption)} of the sun used at home`);
    setText(sums, parts.join(" · "));
  }

  function tell(time) {
    slider.setAttribute("aria-valuetext", clock(time));
    let index = data.time.findIndex((one) => one > time) - 1;
    if (index < -1) index = data.time.length - 1;
    if (index < 0 || time - data.time[index] > 2 * (LENGTH_S[data.resolution] ?? 60)) {
      moment.replaceChildren(h("h2", {}, clock(time)), h("p.hint", {}, time > data.time[0] ? "Nothing is recorded of this moment yet." : "Nothing is recorded of this moment."));
      return;
    }
    moment.replaceChildren(h("h2", {}, clock(time)), h("ul.readings", {}, ...reading(data, index)),
      h("ul.reasons", {}, ...Object.keys(data.loads).map((name) => {
        const last = told.filter((one) => one.load === name && one.time <= time + 60).pop();
        return h("li", {}, h("b", {}, title(name)), ` ${last ? `${last.state ? `${last.state} · ` : ""}${typeset(last.sentence)}` : "nothing was decided yet"}`,
          last ? h("span.since", {}, ` since ${clock(last.time)}`) : null);
      })));
  }

  function list() {
    decisions.replaceChildren(...told.map((one) => h("li", {}, h("time", {}, clock(one.time)), " ", h("b", {}, title(one.load)), ` ${typeset(one.sentence)}`)));
    if (!told.length) decisions.append(h("li", {}, "none"));
  }

  function rows() {
    const columns = [["Sun", data.pv_w], ["House", data.load_w], ["Grid", data.grid_w], ...Object.entries(data.loads).map(([name, watts_]) => [title(name), watts_])];
    const hours_ = new Map();
    data.time.forEach((time, index) => { const hour = clock(time).slice(0, 2); hours_.set(hour, [...(hours_.get(hour) ?? []), index]); });
    const mean = (values, indexes) => {
      const known = indexes.map((index) => values?.[index]).filter((value) => value !== null && value !== undefined);
      return known.length ? Math.round(known.reduce((sum, value) => sum + value, 0) / known.length).toString().replace("-", "−") : "–";
    };
    table.replaceChildren(h("table", {}, h("caption", {}, "Mean power of each hour in W; of the grid + is bought, − is sold"),
      h("thead", {}, h("tr", {}, ...["Hour", ...columns.map(([name]) => name)].map((name) => h("th", {scope: "col"}, name)))),
      h("tbody", {}, ...[...hours_].map(([hour, indexes]) => h("tr", {}, h("th", {scope: "row"}, `${hour}:00`), ...columns.map(([, values]) => h("td", {}, mean(values, indexes))))))));
  }

  return {open};
}
