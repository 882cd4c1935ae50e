// Numbers, sizes, times and names as people read them. Decides no markup.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const whole = (n) => WHOLE.format(n ?? 0);

// 1234567 as 1.2M; exact below ten thousand.
export const short = (n) => (Math.abs(n ?? 0) < 10_000 ? WHOLE.format(n ?? 0) : SHORT.format(n));

export function bytes(n) {
  if (n === null || n === undefined) return "unknown";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  let value = n;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(unit > 0 && Math.abs(value) < 10 ? 1 : 0)} ${units[unit]}`;
}

// Per second.
export function rate(n) {
  const value = n ?? 0;
  if (value === 0) return "0/s";
  return `${Math.abs(value) < 10 ? value.toFixed(1) : short(value)}/s`;
}

// How long ago or how long for, in the two largest units.
export function duration(ms) {
  const parts = [];
  let rest = Math.max(0, Math.floor(ms / 1000));
  for (const [unit, size] of [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]]) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count} ${unit}`);
  }
  return parts.slice(0, 2).join(" ") || "0 s";
}

export const plural = (n, one, many = `${one}s`) => `${whole(n)} ${n === 1 ? one : many}`;

export const exchangeName = (name) => (name === "" ? "(AMQP default)" : name);

// An exchange's name in a path of the API.
export const exchangeInPath = (name) => (name === "" ? "amq.default" : name);

export const time = (ms) => new Date(ms).toLocaleString();

// A value of an argument, a property or a parameter.
export const value = (v) => (typeof v === "string" ? v : JSON.stringify(v));
