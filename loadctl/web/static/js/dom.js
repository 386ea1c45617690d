// Elements from data. Text only ever goes in as text: a name in the rule file is no markup.

const SVG = "http://www.w3.org/2000/svg";

/** Make an HTML element: `h("p.note", {id: "x", on: {click}}, "text", child)`. */
export function h(spec, attributes = {}, ...children) {
  const [tag, ...classes] = spec.split(".");
  return fill(document.createElement(tag), classes, attributes, children);
}

/** Make an SVG element. */
export function s(spec, attributes = {}, ...children) {
  const [tag, ...classes] = spec.split(".");
  return fill(document.createElementNS(SVG, tag), classes, attributes, children);
}

function fill(element, classes, attributes, children) {
  if (classes.length) element.setAttribute("class", classes.join(" "));
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [type, listener] of Object.entries(value)) element.addEventListener(type, listener);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Return the element with this id. */
export const byId = (id) => document.getElementById(id);

/** Set a text only if it changed: screen readers and selections are left in peace. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Show or hide. */
export function show(element, shown) {
  if (element.hidden === shown) element.hidden = !shown;
}

/** Set an attribute only if it changed. */
export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Make a line icon of the page's own set. */
export function icon(name) {
  return s("svg.icon", {viewBox: "0 0 24 24", "aria-hidden": "true"}, ...ICONS[name].map((d) => s("path", {d})));
}

/** Tell a result in the corner for some seconds. */
export function tell(text) {
  const toast = byId("toast");
  toast.hidden = false;
  toast.textContent = text;
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => { toast.hidden = true; }, 8000);
}

const RAYS = "M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4";

export const ICONS = {
  sun: ["M12 7.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9z", RAYS],
  house: ["M12 3.5 3.5 11H6v9h12v-9h2.5z", "M10 20v-5h4v5"],
  grid: ["M8 21 11 3h2l3 18M5 8h14M6.5 13h11M9.2 14l6 7M14.8 14l-6 7"],
  battery: ["M4 8h14v9H4z", "M20.5 11v3", "M7 11v3M10.5 11v3"],
  switch: ["M12 3v8", "M7 6.2a8 8 0 1 0 10 0"],
  dimmer: ["M4 17a8 8 0 1 1 16 0", "M12 17l4-6"],
  charger: ["M6 16v-4l2-5h8l2 5v4z", "M6 12h12M8 16v2M16 16v2"],
  danger: ["M12 3.5 2.5 20h19z", "M12 10v5M12 17.5v.3"],
  warning: ["M12 3.5 2.5 20h19z", "M12 10v5M12 17.5v.3"],
  note: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z", "M12 11v6M12 7.5v.3"],
};
