// The live state: one request for the first picture, then the stream; when that breaks, it is said and tried again.

import {eventsUrl, get} from "./api.js";

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30000;
const QUIET_MS = 20000; // nothing heard for so long: is anybody there?

/**
 * Follow the daemon. `onState(state)` for each picture; `onLink(since)` with null while connected, else with the Date
 * since when nothing came.
 */
export function follow(onState, onLink) {
  let stream = null, pause_ms = FIRST_PAUSE_MS, heard = new Date(), retry = 0, lost = null;

  function take(state) {
    heard = new Date();
    pause_ms = FIRST_PAUSE_MS;
    if (lost) onLink(lost = null);
    onState(state);
  }

  function lose() {
    stream?.close();
    stream = null;
    if (!lost) onLink(lost = heard);
    clearTimeout(retry);
    retry = setTimeout(open, pause_ms * (0.8 + 0.4 * Math.random())); // many displays shall not come back at once
    pause_ms = Math.min(pause_ms * 2, LONGEST_PAUSE_MS);
  }

  function open() {
    clearTimeout(retry);
    stream?.close();
    stream = new EventSource(eventsUrl());
    stream.addEventListener("state", (event) => take(JSON.parse(event.data)));
    stream.addEventListener("error", lose);
  }

  async function look() {
    try {
      take(await get("state"));
      if (!stream) open();
    } catch {
      lose();
    }
  }

  look();
  setInterval(() => { if (new Date() - heard > QUIET_MS && stream) look(); }, QUIET_MS / 2);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  window.addEventListener("online", look);
}
