// The picture of where the power flows: sun, grid, battery and house, with dots that run along the lines.

import {ICONS, s, setAttribute, setText} from "./dom.js";
import {UNKNOWN, watts} from "./format.js";

const LEAST_W = 15; // less is noise of the meter
const RADIUS = 52;
const WITH_BATTERY = {sun: [200, 58], grid: [62, 196], house: [200, 260], battery: [338, 196]};
const WITHOUT = {sun: [200, 58], grid: [80, 230], house: [320, 230]};
const PAIRS = [["sun", "house"], ["sun", "battery"], ["sun", "grid"], ["grid", "house"], ["battery", "house"], ["battery", "grid"], ["grid", "battery"]];

/** Split what is measured into who feeds whom, in W; the sun serves the house first, then the battery, then the grid. */
export function flows({pv_w, load_w, grid_w, battery_w}) {
  let sun = Math.max(0, pv_w ?? 0), out = Math.max(0, battery_w ?? 0), bought = Math.max(0, grid_w ?? 0);
  let charge = Math.max(0, -(battery_w ?? 0)), sold = Math.max(0, -(grid_w ?? 0));
  let house = Math.max(0, load_w ?? sun + out + bought - charge - sold);
  const found = {};
  const move = (name, amount) => { found[name] = amount; return amount; };
  let moved = move("sun-house", Math.min(sun, house)); sun -= moved; house -= moved;
  moved = move("sun-battery", Math.min(sun, charge)); sun -= moved; charge -= moved;
  moved = move("sun-grid", Math.min(sun, sold)); sun -= moved; sold -= moved;
  moved = move("battery-house", Math.min(out, house)); out -= moved; house -= moved;
  moved = move("battery-grid", Math.min(out, sold)); out -= moved;
  moved = move("grid-house", Math.min(bought, house)); bought -= moved; house -= moved;
  move("grid-battery", Math.min(bought, charge));
  return found;
}

/** Say in a sentence what is the matter with the power. */
export function headline({pv_w, load_w, grid_w, battery_w}) {
  if (grid_w === null || grid_w === undefined) return "The meter tells nothing now";
  if (grid_w < -LEAST_W) return `${watts(-grid_w)} to spare, sold to the grid`;
  if (grid_w > LEAST_W) return pv_w > LEAST_W ? `${watts(grid_w)} from the grid, the rest from the sun` : `${watts(grid_w)} from the grid`;
  if (battery_w > LEAST_W) return "The house runs on its battery";
  return pv_w > LEAST_W && load_w > LEAST_W ? "The house runs on the sun" : "Nothing from the grid";
}

/** Draw the flow into `root`; returns `update(power)`. */
export function drawFlow(root) {
  const svg = s("svg", {viewBox: "0 0 400 318", role: "img", "aria-label": "Power flow"});
  const lines = new Map(), nodes = new Map();
  for (const [from, to] of PAIRS) {
    const rail = s(`path.rail`), dots = s(`path.dots.from-${from}`);
    lines.set(`${from}-${to}`, {rail, dots, from, to});
    svg.append(rail, dots);
  }
  for (const name of ["sun", "grid", "battery", "house"]) {
    const value = s("text.value", {y: 12}), note = s("text.label", {y: 31});
    const rings = name === "house" ? ["sun", "battery", "grid"].map((source) => s(`circle.arc.${source}`, {r: RADIUS})) : [];
    const level = name === "battery" ? s("text.level", {y: RADIUS + 18}) : null;
    const group = s(`g.node.${name}`, {}, s("circle.disc", {r: RADIUS}), ...rings,
      s("g.picture", {transform: "translate(-12 -40)"}, ...ICONS[name].map((d) => s("path", {d}))), value, note, ...(level ? [level] : []));
    nodes.set(name, {group, value, note, rings, level});
    svg.append(group);
  }
  root.replaceChildren(svg);
  let laid = null, battery = false;

  function lay(places) {
    if (laid === places) return;
    laid = places;
    svg.setAttribute("viewBox", places.battery ? "0 0 400 318" : "0 0 400 288");
    for (const [name, node] of nodes) {
      node.group.toggleAttribute("hidden", !places[name]);
      if (places[name]) node.group.setAttribute("transform", `translate(${places[name].join(" ")})`);
    }
    for (const {rail, dots, from, to} of lines.values()) {
      if (places[from] && places[to]) for (const path of [rail, dots]) path.setAttribute("d", curve(places, from, to));
    }
  }

  return (power) => {
    battery ||= power.battery_w !== null || power.soc_pct !== null; // a blind meter is no house without one
    lay(battery ? WITH_BATTERY : WITHOUT);
    const found = flows(power);
    for (const [name, {rail, dots, from, to}] of lines) {
      const possible = Boolean(laid[from] && laid[to]), flowing = possible && found[name] >= LEAST_W;
      rail.toggleAttribute("hidden", !possible || ((name === "grid-battery" || name === "battery-grid") && !flowing));
      dots.toggleAttribute("hidden", !flowing);
      if (flowing) setAttribute(dots, "data-pace", found[name] > 3000 ? "fast" : found[name] > 800 ? "brisk" : "slow");
    }
    const say = (name, value_w, note) => {
      setText(nodes.get(name).value, watts(value_w));
      setText(nodes.get(name).note, note);
      nodes.get(name).group.classList.toggle("idle", !(Math.abs(value_w ?? 0) >= LEAST_W));
    };
    say("sun", power.pv_w, "sun");
    say("house", power.load_w, "house");
    say("grid", power.grid_w === null ? null : Math.abs(power.grid_w), power.grid_w < -LEAST_W ? "sold" : power.grid_w > LEAST_W ? "bought" : "grid");
    if (battery) {
      say("battery", power.battery_w === null ? null : Math.abs(power.battery_w),
        power.battery_w < -LEAST_W ? "charging" : power.battery_w > LEAST_W ? "giving" : "battery");
      setText(nodes.get("battery").level, power.soc_pct === null ? "" : `${Math.round(power.soc_pct)} % full`);
    }
    ring(nodes.get("house").rings, [found["sun-house"], found["battery-house"], found["grid-house"]]);
    setAttribute(svg, "aria-label", spoken(power, battery));
  };
}

function spoken({pv_w, load_w, grid_w, battery_w, soc_pct}, battery) {
  const grid = grid_w === null ? `the grid ${UNKNOWN}` : `${watts(Math.abs(grid_w))} ${grid_w < 0 ? "sold to" : "bought from"} the grid`;
  const stored = !battery ? "" : `, the battery ${battery_w > 0 ? "gives" : "takes"} ${watts(battery_w === null ? null : Math.abs(battery_w))}` +
    (soc_pct === null ? "" : ` and is ${Math.round(soc_pct)} % full`);
  return `Power flow: the sun gives ${watts(pv_w)}, the house takes ${watts(load_w)}, ${grid}${stored}`;
}

/** Colour the house's ring by where its power comes from. */
function ring(arcs, shares) {
  const total = shares.reduce((sum, share) => sum + share, 0), length = 2 * Math.PI * RADIUS;
  let begins = 0;
  arcs.forEach((arc, index) => {
    const part = total > 0 ? (shares[index] / total) * length : 0;
    arc.toggleAttribute("hidden", !(part > 0));
    arc.setAttribute("stroke-dasharray", `${part.toFixed(1)} ${length.toFixed(1)}`);
    arc.setAttribute("stroke-dashoffset", (-begins).toFixed(1));
    begins += part;
  });
}

/** A line from the edge of one disc to the edge of the other, bent towards the middle of the picture. */
function curve(places, from, to) {
  const [x1, y1] = places[from], [x2, y2] = places[to];
  const bend = [(x1 + x2) / 2, (y1 + y2) / 2].map((middle, axis) => middle + 0.3 * ([200, 176][axis] - middle));
  const edge = (x, y) => {
    const far = Math.hypot(bend[0] - x, bend[1] - y) || 1;
    return [x + ((bend[0] - x) / far) * (RADIUS + 7), y + ((bend[1] - y) / far) * (RADIUS + 7)].map((number) => number.toFixed(1)).join(" ");
  };
  return `M${edge(x1, y1)} Q${bend.map((number) => number.toFixed(1)).join(" ")} ${edge(x2, y2)}`;
}
