// Numbers, durations and times as people write them; U+202F, the narrow no-break space, stands before units and in thousands.

const THIN = "\u202f";
export const UNKNOWN = "–";

/** The house's own time and money; told by the daemon. */
export const place = {timezone: "UTC", currency: null};

const grouped = (number, digits = 0) =>
  number.toLocaleString("en-US", {minimumFractionDigits: digits, maximumFractionDigits: digits})
    .replaceAll(",", THIN).replace(/^-/, "−");

/** Spell a power: `1 210 W`, from 10 kW on `12.3 kW`. */
export function watts(power_w) {
  if (power_w === null || power_w === undefined) return UNKNOWN;
  if (Math.abs(power_w) >= 10000) return `${grouped(power_w / 1000, 1)}${THIN}kW`;
  const rounded = Math.round(power_w) || 0; // no -0
  return `${grouped(rounded)}${THIN}W`;
}

/** Spell an energy: `640 Wh`, `2.1 kWh`, `12 kWh`. */
export function energy(energy_wh) {
  if (energy_wh === null || energy_wh === undefined) return UNKNOWN;
  const kwh = energy_wh / 1000;
  if (Math.abs(kwh) < 0.0995) return `${grouped(Math.round(energy_wh) || 0)}${THIN}Wh`;
  return `${grouped(kwh, Math.abs(kwh) < 10 ? 2 : Math.abs(kwh) < 100 ? 1 : 0)}${THIN}kWh`;
}

/** Spell a share of 0 to 1. */
export const percent = (share) => (share === null || share === undefined ? UNKNOWN : `${Math.round(share * 100)}${THIN}%`);

/** Spell money, with the currency where the house has one. */
export function money(amount) {
  if (amount === null || amount === undefined) return UNKNOWN;
  const number = grouped(Math.abs(amount) < 0.005 ? 0 : amount, 2);
  return place.currency ? `${number}${THIN}${place.currency}` : number;
}

/** Spell a duration: `45 s`, `3 min 20 s`, `2 h 05 min`. */
export function span(seconds) {
  const left = Math.max(0, Math.round(seconds));
  if (left < 120) return `${left}${THIN}s`;
  if (left < 3600) return `${Math.floor(left / 60)}${THIN}min` + (left % 60 ? ` ${left % 60}${THIN}s` : "");
  if (left >= 48 * 3600) return `${Math.round(left / 86400)} days`;
  return `${Math.floor(left / 3600)}${THIN}h ${String(Math.floor((left % 3600) / 60)).padStart(2, "0")}${THIN}min`;
}

/** Spell a long duration without seconds: `3 min`, `2 h 05 min`. */
export const hours = (seconds) => (seconds < 3600 ? `${Math.round(seconds / 60)}${THIN}min` : span(seconds));

const formats = new Map();
function format(options) {
  const key = place.timezone + JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat("en-GB", {timeZone: place.timezone, ...options}));
  return formats.get(key);
}

/** Spell a time of day: `14:32`. Takes an ISO time or POSIX seconds. */
export const clock = (moment) => format({hour: "2-digit", minute: "2-digit", hourCycle: "h23"}).format(date(moment));

/** Spell a moment by the time of day, with the day if it is not that of `now`. */
export function when(moment, now) {
  const day = dayOf(moment);
  if (day === dayOf(now)) return clock(moment);
  return `${format({weekday: "short", day: "numeric", month: "short"}).format(date(moment))}, ${clock(moment)}`;
}

/** Return the day of the house that a moment falls on: `2025-06-21`. */
export function dayOf(moment) {
  const parts = Object.fromEntries(format({year: "numeric", month: "2-digit", day: "2-digit"}).formatToParts(date(moment))
    .map((part) => [part.type, part.value]));
  return `${parts.year}-${parts.month}-${parts.day}`;
}

/** Spell a day: `Saturday, 21 June 2025`. */
export const dayName = (day, options = {weekday: "long", day: "numeric", month: "long", year: "numeric"}) =>
  new Intl.DateTimeFormat("en-GB", {timeZone: "UTC", ...options}).format(new Date(`${day.length === 7 ? `${day}-01` : day}T12:00:00Z`));

/** Return the day that comes `count` days after. */
export function plusDays(day, count) {
  const moved = new Date(`${day}T12:00:00Z`);
  moved.setUTCDate(moved.getUTCDate() + count);
  return moved.toISOString().slice(0, 10);
}

/** Return the POSIX second at which a day of the house begins, summer time or not. */
export function midnight(day) {
  const noon = Date.parse(`${day}T12:00:00Z`) / 1000;
  // The zone's offset is at most 14 h, so its midnight lies within this range; where clocks go forward at midnight the day begins at 01:00.
  let low = noon - 27 * 3600, high = noon + 14 * 3600;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (dayOf(middle) < day) low = middle; else high = middle;
  }
  return high;
}

const date = (moment) => new Date(typeof moment === "number" ? moment * 1000 : moment);

/** A load's key as a title: `pool_pump` is `Pool pump`. */
export function title(name) {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Set the daemon's sentences as the page's own numbers are set: no break between a number and its unit. */
export const typeset = (text) =>
  text.replace(/(\d) (?=\d{3}\b)/g, `$1${THIN}`).replace(/(\d) (?=(?:k?Wh?|A|V|%|s|min|h|d|°C)(?![\w]))/g, `$1${THIN}`);
