// The page: the views, their addresses, the session, the live state.

import {login, logout, refresh, session} from "./js/api.js";
import {askLogin} from "./js/ask.js";
import {byId, setText, show, tell} from "./js/dom.js";
import {place} from "./js/format.js";
import {follow} from "./js/live.js";
import {linkState, now} from "./js/now.js";

const TITLES = {now: "Now", day: "Day", totals: "Totals", rules: "Rules"};
const LATER = {day: () => import("./js/day.js"), totals: () => import("./js/totals.js"), rules: () => import("./js/rules.js")};
const THEMES = {auto: "as the device", light: "light", dark: "dark"};

const views = {now: {update: now()}};
let shown = null, state = null;

/** Show the view that the address names: `#day`, `#day/2025-06-21`. */
async function route() {
  const [name, argument] = location.hash.slice(1).split("/");
  const view = name in TITLES ? name : "now";
  document.querySelector("dialog[open]")?.close(); // its question was of the view before
  const leaving = shown !== null && shown !== view;
  shown = view;
  for (const one of Object.keys(TITLES)) show(byId(`view-${one}`), one === view);
  for (const tab of document.querySelectorAll("nav a")) {
    if (tab.dataset.view === view) tab.setAttribute("aria-current", "page"); else tab.removeAttribute("aria-current");
  }
  document.title = `${TITLES[view]} · loadctl`;
  if (leaving) { scrollTo(0, 0); byId("main").focus({preventScroll: true}); }
  if (LATER[view]) {
    try {
      views[view] ??= (await LATER[view]()).view(byId(`view-${view}`));
      const known = state ?? remember().state;
      if (known) views[view].open(argument, known);
    } catch (error) {
      if (error instanceof TypeError) tell("This part of the page could not be loaded; is loadctl running?");
      throw error;
    }
  }
}

const KEPT = "loadctl-last", KEEP_EVERY_MS = 10000;
let kept_ms = 0;

/** Keep the last picture for when the house cannot be reached. */
function keep() {
  if (Date.now() - kept_ms < KEEP_EVERY_MS) return;
  kept_ms = Date.now();
  localStorage.setItem(KEPT, JSON.stringify({kept_ms, state}));
}

function remember() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    return {}; // of another version of this page
  }
}

function lose(since) {
  const kept = state === null ? remember() : {};
  if (kept.state) {
    Object.assign(place, {timezone: kept.state.timezone, currency: kept.state.currency});
    views.now.update(kept.state);
  }
  linkState(kept.state ? new Date(kept.kept_ms) : since, 0);
}

function take(fresh) {
  const first = state === null;
  state = fresh;
  keep();
  Object.assign(place, {timezone: fresh.timezone || "UTC", currency: fresh.currency});
  linkState(null, fresh.at);
  views.now.update(fresh);
  if (first) route();
}

function themes() {
  const button = byId("theme"), order = Object.keys(THEMES);
  const put = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = theme;
    button.setAttribute("aria-label", `Colours: ${THEMES[theme]}`);
    document.dispatchEvent(new CustomEvent("recolour"));
  };
  let theme = localStorage.getItem("loadctl-theme") ?? "auto";
  if (!(theme in THEMES)) theme = "auto";
  put(theme);
  button.addEventListener("click", () => {
    theme = order[(order.indexOf(theme) + 1) % order.length];
    localStorage.setItem("loadctl-theme", theme);
    put(theme);
    tell(`Colours: ${THEMES[theme]}`);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new CustomEvent("recolour")));
}

async function leave() {
  await logout();
  localStorage.removeItem(KEPT);
}

async function sessions() {
  const button = byId("login");
  session.onLogin = askLogin;
  session.onChange = () => {
    show(button, session.login !== "none");
    setText(button, session.may_change ? "Log out" : "Log in");
    if (session.may_change && state === null) look();
  };
  button.addEventListener("click", () => (session.may_change ? leave() : askLogin()).catch((problem) => tell(problem.message)));
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  try {
    if (token) {
      history.replaceState(null, "", location.pathname + location.search); // it shall not stay in the address
      await login({token});
    } else {
      await refresh();
    }
  } catch (problem) {
    if (problem.status !== 0) tell(problem.message);
  }
}

themes();
route();
addEventListener("hashchange", route);
const look = follow(take, (since) => {
  if (since === null) refresh().catch(() => undefined); // a daemon that began anew knows nobody; said when it matters
  else lose(since);
}, async () => {
  await known;
  if (session.may_change || await askLogin()) return true;
  setText(byId("headline"), "Log in to look");
  return false;
});
const known = sessions();
if ("serviceWorker" in navigator) navigator.serviceWorker.register("sw.js").catch(() => undefined); // a browser that forbids it: no harm
