// The daemon's API. Addresses are relative to the page, so that it works behind a proxy with a path prefix.

const BASE = new URL("api/v1/", document.baseURI);

/** What the daemon refused, in its own words (RFC 9457); `status` 0: it could not be reached. */
export class Problem extends Error {
  constructor(status, detail, faults = []) {
    super(detail);
    this.status = status;
    this.faults = faults;
  }
}

/** Who we are to the daemon; `onLogin` asks the person and resolves to whether it worked. */
export const session = {may_change: false, login: "none", csrf: null, onLogin: async () => false, onChange: () => {}};

async function ask(method, path, body, parameters = {}) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined) url.searchParams.set(name, value);
  }
  const headers = {Accept: "application/json"};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && session.csrf) headers["X-CSRF-Token"] = session.csrf;
  let response;
  try {
    response = await fetch(url, {method, headers, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-cache"});
  } catch {
    throw new Problem(0, "loadctl cannot be reached");
  }
  const text = await response.text();
  const told = readable(text);
  if (response.ok) return told;
  throw new Problem(response.status, told?.detail || told?.title || `the answer was ${response.status}`, told?.faults || []);
}

function readable(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // of a proxy in between
  }
}

/** Ask for something. Raises Problem. */
export const get = (path, parameters) => ask("GET", path, undefined, parameters);

/** Ask for what only the owner may see: asks the person to log in where that is needed. Raises Problem. */
export const getOwn = (path) => asOwner("GET", path);

/** Ask for a change, or an opinion on something long; asks the person to log in where that is needed. Raises Problem. */
export const post = (path, body) => asOwner("POST", path, body);

/** Put something in place; asks the person to log in where that is needed. Raises Problem. */
export const put = (path, body) => asOwner("PUT", path, body);

const PATIENCE_MS = 5000;
let learning = Promise.resolve(); // what to show with a change is told with the session: who is quicker than that waits

async function asOwner(method, path, body) {
  await Promise.race([learning, new Promise((go) => setTimeout(go, PATIENCE_MS))]);
  try {
    return await ask(method, path, body);
  } catch (problem) {
    if (problem.status !== 401 && problem.status !== 403) throw problem;
    await refresh(); // the session may have run out, or its token may be another by now
    if (!session.may_change && !(session.login !== "none" && await session.onLogin())) throw problem;
    return ask(method, path, body);
  }
}

async function learn() {
  Object.assign(session, await get("session"));
  session.onChange();
}

function meanwhile(learned) {
  learning = Promise.all([learning, learned.catch(() => undefined)]); // what went wrong is said to who asked for it
  return learned;
}

/** Learn anew what we may do. Raises Problem. */
export const refresh = () => meanwhile(learn());

/** Log in with `{password}` or `{token}`. Raises Problem. */
export const login = (proof) => meanwhile(ask("POST", "login", proof).then(learn));

/** Forget the session, here and there. */
export async function logout() {
  await ask("POST", "logout");
  await refresh();
}

/** The address of the stream of changes. */
export const eventsUrl = () => new URL("events", BASE);
