// Keeps the page itself for when the house cannot be reached. Numbers are never kept here: old ones would look like new.
const KEPT = "loadctl-page-1";
const PAGE = [
  "./", "manifest.webmanifest", "static/app.js", "static/style.css", "static/views.css",
  ...["api", "ask", "card", "chart", "day", "dom", "flow", "format", "live", "now", "rules", "totals", "whatif"].map((name) => `static/js/${name}.js`),
  "static/vendor/uplot/uPlot.iife.min.js", "static/vendor/uplot/uPlot.min.css",
  "static/icons/icon.svg", "static/icons/icon-192.png",
];
const PATIENCE_MS = 4000;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll(PAGE)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const old = (name) => name.startsWith("loadctl-page-") && name !== KEPT;
  event.waitUntil(caches.keys().then((names) => Promise.all(names.filter(old).map((name) => caches.delete(name))))
    .then(() => self.clients.claim()));
});

/** The network first: after an update no half of the old page may run with a half of the new one. */
async function answer(request) {
  const cache = await caches.open(KEPT);
  try {
    const response = await fetch(request, {signal: AbortSignal.timeout?.(PATIENCE_MS)});
    if (response.ok) await cache.put(request, response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match(request, {ignoreSearch: true});
    if (kept) return kept;
    throw error;
  }
}

self.addEventListener("fetch", (event) => {
  const {pathname} = new URL(event.request.url);
  const path = pathname.slice(new URL(self.registration.scope).pathname.length);
  if (event.request.method !== "GET" || !(path === "" || path.startsWith("static/") || path === "manifest.webmanifest")) return;
  event.respondWith(answer(event.request));
});
