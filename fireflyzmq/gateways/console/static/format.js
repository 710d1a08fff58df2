// Numbers, times and sizes as people read them. "–" stands for what is not known.

export const UNKNOWN = "–";
const short = new Intl.NumberFormat("en", {notation: "compact", maximumFractionDigits: 1});
const whole = new Intl.NumberFormat("en", {maximumFractionDigits: 0});

export const count = (value) => (value === null || value === undefined ? UNKNOWN : whole.format(value));

export function rate(value) {
  if (value === null || value === undefined) return UNKNOWN;
  if (value > 0 && value < 0.1) return "<0.1";
  return value < 10 && value > 0 ? value.toFixed(1) : whole.format(value);
}

export function seconds(value) {
  if (value === null || value === undefined) return UNKNOWN;
  if (value < 0.000995) return `${(value * 1e6).toFixed(0)} µs`;
  if (value < 0.00995) return `${(value * 1e3).toFixed(2)} ms`;
  if (value < 0.995) return `${(value * 1e3).toFixed(0)} ms`;
  return `${value.toFixed(value < 10 ? 2 : 0)} s`;
}

export function bytes(value) {
  if (value === null || value === undefined) return UNKNOWN;
  if (value < 1024) return `${whole.format(value)} B`;
  let unit = 0;
  let scaled = value;
  while (scaled >= 1024 && unit < 4) {
    scaled /= 1024;
    unit += 1;
  }
  return `${scaled < 10 ? scaled.toFixed(1) : whole.format(scaled)} ${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
}

export function span(value) {
  if (value === null || value === undefined) return UNKNOWN;
  const total = Math.floor(value);
  const days = Math.floor(total / 86400);
  const hours = Math.floor(total / 3600) % 24;
  const minutes = Math.floor(total / 60) % 60;
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${total % 60} s` : `${total} s`;
}

/** The time of day of a number of seconds since 1970. */
export function clock(value) {
  const date = new Date(value * 1000);
  const two = (number) => String(number).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** The same with its date, where that is another day. */
export function moment(value) {
  const date = new Date(value * 1000);
  const day = date.toDateString() === new Date().toDateString() ? "" : `${date.toLocaleDateString("en", {day: "numeric", month: "short"})} `;
  return `${day}${clock(value)}`;
}

/** A count in little room: exact up to 99,999. */
export function brief(value) {
  if (value === null || value === undefined || value < 100000) return count(value);
  return short.format(value);
}

export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;
