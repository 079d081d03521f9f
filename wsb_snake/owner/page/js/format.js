// How figures are written. Money arrives as text with every digit, and is only shown.

const cents = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const clock = new Intl.DateTimeFormat("en-GB", {
  timeZone: "America/New_York", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DASH = "–";
const known = (value) => value !== null && value !== undefined && value !== "";

export const dollars = (value, signed = false) => {
  if (!known(value)) return DASH;
  const amount = Number(value);
  const sign = amount < 0 ? "−" : signed && amount > 0 ? "+" : "";
  return `${sign}$${cents.format(Math.abs(amount))}`;
};

export const price = (value) => (known(value) ? cents.format(Number(value)) : DASH);

export const signed = (value, digits = 1, unit = "") => {
  if (!known(value)) return DASH;
  const amount = Number(value);
  return `${amount < 0 ? "−" : amount > 0 ? "+" : ""}${Math.abs(amount).toFixed(digits)}${unit}`;
};

export const percent = (value) => (known(value) ? `${(Number(value) * 100).toFixed(0)} %` : DASH);

export const tone = (value) => (!known(value) || Number(value) === 0 ? null : Number(value) > 0 ? "good" : "bad");

export const age = (seconds) => {
  if (!known(seconds)) return "never";
  if (seconds < 100) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
};

export const span = (seconds) => {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (parts[0] >= 48) return `${Math.floor(parts[0] / 24)} d ${parts[0] % 24} h`;
  return parts.map((part, i) => String(part).padStart(i ? 2 : 1, "0")).join(":");
};

/** `HH:MM` in New York of Unix seconds. */
export const easternClock = (seconds) => clock.format(new Date(seconds * 1000));

/** The clock of `YYYY-MM-DD HH:MM:SS` or with a `T`. */
export const timeOf = (text) => (known(text) ? text.slice(11, 16) : DASH);

/** `names` as words, without those that are empty. */
export const listed = (between, ...names) => names.filter(Boolean).map(words).join(between);

export const plural = (count, one, more = `${one}s`) => `${count} ${count === 1 ? one : more}`;

export const words = (name) => String(name).replaceAll("_", " ");

/** `24 Nov` of `YYYY-MM-DD…`. */
export const dayOf = (text) => `${Number(text.slice(8, 10))} ${MONTHS[Number(text.slice(5, 7)) - 1]}`;
