// What came together by day or by month.

import {get} from "./api.js";
import {sorry} from "./chart.js";
import {h, setText} from "./dom.js";
import {dayName, dayOf, energy, money, percent, plusDays, title} from "./format.js";

/** Make the view; returns `{open(argument, state)}`. The argument is a month `2025-06` or a year `2025`. */
export function view(root) {
  const heading = h("h1", {id: "totals-title"}), sums = h("dl.today.wide"), body = h("div.scroll", {tabindex: 0, role: "group", "aria-label": "Totals as a table"});
  const back = h("button", {type: "button"}, "‹"), forth = h("button", {type: "button"}, "›");
  const days = h("a", {}, "By day"), months = h("a", {}, "By month");
  root.replaceChildren(h("div.bar.days", {}, heading, h("div.choices", {}, h("div.segments.links", {}, days, months), back, forth)), sums, body);
  let period = null, present = null, asked = 0;
  back.addEventListener("click", () => { location.hash = `#totals/${moved(period, -1)}`; });
  forth.addEventListener("click", () => { location.hash = `#totals/${moved(period, 1)}`; });

  function open(wanted, state) {
    present = dayOf(state.at);
    period = /^\d{4}(-\d\d)?$/.test(wanted ?? "") ? wanted : present.slice(0, 7);
    const monthly = period.length === 4, word = monthly ? "year" : "month";
    setText(heading, monthly ? period : dayName(period, {month: "long", year: "numeric"}));
    for (const [link, here, target] of [[days, !monthly, period.length === 7 ? period : `${period}-${period === present.slice(0, 4) ? present.slice(5, 7) : "12"}`], [months, monthly, period.slice(0, 4)]]) {
      link.href = `#totals/${target}`;
      if (here) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
    }
    back.setAttribute("aria-label", `The ${word} before`);
    forth.setAttribute("aria-label", `The ${word} after`);
    forth.disabled = period >= present.slice(0, period.length);
    load(monthly);
  }

  async function load(monthly) {
    const turn = ++asked, from = monthly ? `${period}-01-01` : `${period}-01`;
    const to = monthly ? `${period}-12-31` : plusDays(`${moved(period, 1)}-01`, -1);
    try {
      const {rows} = await get("totals", {by: monthly ? "month" : "day", from, to});
      if (turn !== asked) return;
      if (!rows.length) {
        sums.replaceChildren();
        sorry(body, "Nothing is recorded of this time.");
        return;
      }
      show(rows, monthly);
    } catch (problem) {
      if (turn !== asked) return;
      sums.replaceChildren();
      sorry(body, `The totals cannot be shown: ${problem.message}`);
    }
  }

  function show(rows, monthly) {
    const known = (value) => value !== null && value !== undefined;
    const sum = (pick) => rows.map(pick).filter(known).reduce((total, value) => (total ?? 0) + value, null);
    const production = sum((row) => row.production_wh), exported = sum((row) => row.export_wh);
    const share = production > 0 && exported !== null ? Math.max(0, 1 - exported / production) : null;
    const saved = sum((row) => row.saved);
    sums.replaceChildren(...[["Sun", energy(production)], ["Own use", percent(share)], ["House", energy(sum((row) => row.consumption_wh))], ["Bought", energy(sum((row) => row.import_wh))], ["Sold", energy(exported)], ["Saved", money(saved)]]
      .map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text))));
    const names = [...new Set(rows.flatMap((row) => Object.keys(row.loads ?? {})))];
    const most = Math.max(1, ...rows.map((row) => row.production_wh ?? 0), ...rows.map((row) => row.import_wh ?? 0));
    const bar = (part, value) => {
      const element = h(`span.bar-${part}`);
      element.style.inlineSize = `${(100 * (value ?? 0)) / most}%`;
      return element;
    };
    const line = (row) => {
      const own = known(row.production_wh) && known(row.export_wh) ? Math.max(0, row.production_wh - row.export_wh) : null;
      const label = monthly ? dayName(row.period, {month: "long"}) : dayName(row.period, {weekday: "short", day: "numeric"});
      const link = monthly ? `#totals/${row.period.slice(0, 7)}` : `#day/${row.period}`;
      return h("tr", {}, h("th", {scope: "row"}, h("a", {href: link}, label)),
        h("td.bars", {"aria-hidden": "true"}, h("div", {}, bar("own", own), bar("sold", row.export_wh)), h("div", {}, bar("bought", row.import_wh))),
        h("td", {}, energy(row.production_wh)), h("td", {}, percent(row.self_consumption)), h("td", {}, energy(row.import_wh)), h("td", {}, energy(row.export_wh)), h("td", {}, money(row.saved)),
        ...names.map((name) => h("td", {}, energy(row.loads?.[name]?.energy_wh), h("small", {}, row.loads?.[name]?.starts !== undefined ? ` ${row.loads[name].starts}×` : ""))));
    };
    body.replaceChildren(h("table.totals", {}, h("caption", {}, "Bars: used at home and sold above, bought below. “3×” counts starts."),
      h("thead", {}, h("tr", {}, h("th", {scope: "col"}, monthly ? "Month" : "Day"), h("td", {"aria-hidden": "true"}), ...["Sun", "Used at home", "Bought", "Sold", "Saved", ...names.map(title)].map((name) => h("th", {scope: "col"}, name)))),
      h("tbody", {}, ...rows.map(line))));
  }

  return {open};
}

function moved(period, count) {
  if (period.length === 4) return String(Number(period) + count);
  const date = new Date(`${period}-15T12:00:00Z`);
  date.setUTCMonth(date.getUTCMonth() + count);
  return date.toISOString().slice(0, 7);
}
