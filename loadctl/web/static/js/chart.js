// A day as a picture: power as lines (uPlot), below them each load as a row of bars on the same axis of time.

import {h, icon, s} from "./dom.js";
import {clock, energy, place, title, watts} from "./format.js";

const STATIC = new URL("../", import.meta.url);
const LINES = [
  {key: "pv_w", label: "Sun", colour: "--sun", width: 2, fill: true},
  {key: "load_w", label: "House", colour: "--house", width: 2},
  {key: "grid_w", label: "Grid", colour: "--grid", width: 1.5, dash: [7, 4]},
  {key: "battery_w", label: "Battery", colour: "--battery", width: 1.5, dash: [2, 4]},
];

let library = null;

/** Load the chart library, once, when the first chart is wanted. */
function plots() {
  library ??= new Promise((resolve, reject) => {
    const script = h("script", {src: new URL("vendor/uplot/uPlot.iife.min.js", STATIC)});
    script.addEventListener("load", () => resolve(globalThis.uPlot));
    script.addEventListener("error", () => { library = null; reject(new TypeError("the charts could not be loaded")); });
    document.head.append(script, h("link", {rel: "stylesheet", href: new URL("vendor/uplot/uPlot.min.css", STATIC)}));
  });
  return library;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/**
 * Draw a day into `root`. `data`: `{time: [posix], pv_w, load_w, grid_w, battery_w, loads: {name: [W]}}`; lines that are
 * not there are left out. `from`, `to`: POSIX; `onMoment(time)` as a person points at one. Resolves to
 * `{point(time), remove()}`.
 */
export async function chart(root, data, {from, to, height = 260, onMoment = () => {}}) {
  const Plot = await plots();
  const lines = LINES.filter(({key}) => data[key]?.some((value) => value !== null));
  const legend = h("ul.legend", {"aria-hidden": "true"}, ...lines.map((line) => h("li", {}, key(line), line.label)));
  const canvas = h("div.plot"), rows = h("div.rows"), needle = h("div.needle", {hidden: true, "aria-hidden": "true"});
  const stage = h("div.stage", {}, canvas, rows, needle);
  root.replaceChildren(legend, stage);
  let plot = null, pointing = false;

  function build() {
    const ink = colour("--muted"), line = colour("--line");
    const axis = {stroke: ink, grid: {stroke: line, width: 1}, ticks: {show: false}, font: "12px Inter, system-ui, sans-serif"};
    plot?.destroy();
    plot = new Plot({
      width: Math.max(200, stage.clientWidth), height, padding: [10, 22, 0, 0], legend: {show: false},
      tzDate: (time) => Plot.tzDate(new Date(time * 1000), place.timezone),
      cursor: {y: false, points: {size: 7}, drag: {x: false, y: false}},
      scales: {x: {time: true, range: () => [from, to]}, y: {range: (_, low, high) => span_w(low, high)}},
      axes: [
        {...axis, size: 28, space: 46, values: (_, ticks) => ticks.map((time) => clock(time))},
        {...axis, size: 46, values: (_, ticks) => ticks.map((power) => `${(power / 1000).toLocaleString("en-US", {maximumFractionDigits: 1}).replace("-", "−")}`), label: undefined},
      ],
      series: [{}, ...lines.map((one) => ({
        label: one.label, stroke: colour(one.colour), width: one.width, dash: one.dash, points: {show: false},
        fill: one.fill ? `${colour(one.colour)}26` : undefined,
      }))],
      hooks: {setCursor: [moved], ready: [fit], setSize: [fit]},
    }, calmed([data.time, ...lines.map(({key: name}) => data[name])], stage.clientWidth), canvas);
  }

  function fit(made) {
    stage.style.setProperty("--left", `${made.over.offsetLeft}px`);
    stage.style.setProperty("--right", `${stage.clientWidth - made.over.offsetLeft - made.over.clientWidth}px`);
  }

  function moved(made) {
    const index = made.cursor.idx;
    needle.hidden = index === null || index === undefined;
    if (needle.hidden) return;
    const time = made.data[0][index];
    needle.style.left = `${made.over.offsetLeft + made.valToPos(time, "x")}px`;
    if (!pointing) onMoment(time);
  }

  function point(time) {
    pointing = true; // the person's slider moves the line, the line shall not move the slider
    plot.setCursor({left: plot.valToPos(time, "x"), top: 10});
    pointing = false;
  }

  for (const [name, values] of Object.entries(data.loads ?? {})) rows.append(row(name, values, data.time, from, to));
  build();
  const follow = (event) => {
    const box = plot.over.getBoundingClientRect();
    plot.setCursor({left: Math.min(box.width, Math.max(0, event.clientX - box.left)), top: 10});
  };
  rows.addEventListener("pointermove", follow);
  rows.addEventListener("pointerdown", follow);
  canvas.addEventListener("pointermove", (event) => { if (event.pointerType !== "mouse") follow(event); });
  const sized = new ResizeObserver(() => {
    if (stage.clientWidth && Math.abs(stage.clientWidth - plot.width) > 1) plot.setSize({width: stage.clientWidth, height});
  });
  sized.observe(stage);
  document.addEventListener("recolour", build);
  return {point, remove: () => { sized.disconnect(); document.removeEventListener("recolour", build); plot.destroy(); root.replaceChildren(); }};
}

/** Where minutes are narrower than the line, draw the means of a few: the same day, but legible. */
function calmed(columns, width) {
  const together = Math.floor((4 * columns[0].length) / Math.max(width, 1) / 3);
  if (together < 2) return columns;
  const mean = (values) => {
    const known = values.filter((value) => value !== null);
    return known.length * 2 > values.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
  };
  return columns.map((values, column) => Array.from({length: Math.ceil(values.length / together)}, (_, index) =>
    (column === 0 ? values[index * together] : mean(values.slice(index * together, (index + 1) * together)))));
}

function key({colour: name, dash, width}) {
  const stroke = s("line", {x1: 1, x2: 27, y1: 6, y2: 6, "stroke-width": width + 1, "stroke-dasharray": dash?.join(" ")});
  stroke.style.stroke = `var(${name})`;
  return s("svg", {viewBox: "0 0 28 12", width: 28, height: 12}, stroke);
}

function span_w(low, high) {
  const top = Math.max(1000, high ?? 0), bottom = Math.min(0, low ?? 0);
  const step = top - bottom > 6000 ? 2000 : top - bottom > 3000 ? 1000 : 500;
  return [Math.floor(bottom / step) * step, Math.ceil((top * 1.02) / step) * step];
}

/** One load's day: a bar where it drew power, as high as the power. */
function row(name, values, time, from, to) {
  const drawn = values.filter((value) => value > 0).sort((one, other) => one - other);
  const most = drawn[Math.floor(drawn.length * 0.95)] ?? 1; // one odd minute shall not make all others small
  const bars = [], step = time.length > 1 ? time[1] - time[0] : 60;
  let begun = null, total_wh = 0;
  const heightOf = (value) => Math.min(1, Math.round((value / most) * 8) / 8);
  const end = (index) => {
    const until = Math.min(to, index < time.length ? time[index] : time[time.length - 1] + step);
    bars.push(s("rect", {x: time[begun.index] - from, y: 1 - begun.high, width: Math.max(until - time[begun.index], (to - from) / 1000), height: begun.high}));
  };
  for (let index = 0; index <= time.length; index++) {
    const value = values[index] ?? 0, high = value > most * 0.02 ? Math.max(0.125, heightOf(value)) : 0;
    if (index < time.length) total_wh += (value * Math.min(step, (time[index + 1] ?? time[index] + step) - time[index])) / 3600;
    if (begun && (high !== begun.high || index === time.length)) { end(index); begun = null; }
    if (!begun && high > 0 && index < time.length) begun = {index, high};
  }
  return h("div.row", {}, h("p.row-name", {}, h("span", {}, title(name)), h("span", {}, energy(total_wh))),
    s("svg.track", {viewBox: `0 0 ${to - from} 1`, preserveAspectRatio: "none", role: "img", "aria-label": `${title(name)}: ${energy(total_wh)} this day, at most ${watts(Math.max(0, ...values.map((value) => value ?? 0)))}`}, ...bars));
}

/** Show a trouble in place of a chart. */
export function sorry(root, text) {
  root.replaceChildren(h("p.trouble.note", {}, icon("note"), h("span", {}, text)));
}

/** A line of the reading at one moment. */
export function reading(data, index) {
  return LINES.filter(({key: name}) => data[name]?.some((value) => value !== null)).map(({key: name, label}) => {
    const value = data[name][index];
    const way = name === "grid_w" && value !== null ? (value < 0 ? " sold" : " bought") : name === "battery_w" && value !== null ? (value < 0 ? " in" : " out") : "";
    return h("li", {}, h("span", {}, label), h("b", {}, watts(value === null ? null : name === "grid_w" || name === "battery_w" ? Math.abs(value) : value) + way));
  });
}

