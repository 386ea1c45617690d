// The live state: one request for the first picture, then the stream; when that breaks, it is said and tried again.

import {eventsUrl, get} from "./api.js";

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30000;
const QUIET_MS = 20000; // nothing heard for so long: is anybody there?

/**
 * Follow the daemon. `onState(state)` for each picture; `onLink(since)` with null while connected, else with the Date
 * since when nothing came; `onRefused()` when one must log in to look: resolves to whether that worked, and if not, it is
 * not tried again. Returns `look()`, which asks at once.
 */
export function follow(onState, onLink, onRefused) {
  let stream = null, pause_ms = FIRST_PAUSE_MS, heard = new Date(), retry = 0, lost = null, asking = false;

  function take(state) {
    heard = new Date();
    if (lost) onLink(lost = null);
    onState(state);
  }

  function open() {
    stream?.close();
    stream = new EventSource(eventsUrl());
    stream.addEventListener("state", (event) => {
      pause_ms = FIRST_PAUSE_MS;
      take(JSON.parse(event.data));
    });
    stream.addEventListener("error", () => {
      stream.close();
      stream = null;
      look();
    });
  }

  /** Ask once; the stream is opened again after a pause that grows, so that it is no load on who is in trouble. */
  async function look() {
    if (asking) return;
    asking = true;
    try {
      take(await get("state"));
    } catch (problem) {
      if (problem.status === 401) {
        const may = await onRefused();
        asking = false;
        if (may) look();
        return;
      }
      if (!lost) onLink(lost = heard);
    }
    asking = false;
    clearTimeout(retry);
    if (stream) return;
    retry = setTimeout(lost ? look : open, pause_ms * (0.8 + 0.4 * Math.random())); // many displays shall not come back at once
    pause_ms = Math.min(pause_ms * 2, LONGEST_PAUSE_MS);
  }

  look();
  setInterval(() => { if (new Date() - heard > QUIET_MS && stream) look(); }, QUIET_MS / 2);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  addEventListener("online", look);
  return look;
}
