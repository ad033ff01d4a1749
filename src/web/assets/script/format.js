// Numbers as people read them, in the language of the page.

const language = document.documentElement.lang;
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });

/** `£1,200`, `£3.50`: pence only where there are some. Without a known currency, the number alone. */
export function money(amount, currency) {
  const digits = Number.isInteger(amount) || amount >= 100 ? 0 : 2;
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  try {
    return new Intl.NumberFormat(language, { ...options, style: "currency", currency }).format(amount);
  } catch {
    return new Intl.NumberFormat(language, options).format(amount);
  }
}

/** An estimate, to two figures: `£31`, `£200`. */
export function roughMoney(amount, currency) {
  return money(Math.max(1, Number(amount.toPrecision(2))), currency);
}

/** `98.5 %`; what is neither nothing nor everything is not rounded to it. */
export function percent(share) {
  if (share > 0 && share < 0.001) return "< 0.1 %";
  if (share < 1 && share > 0.999) return "> 99.9 %";
  return `${(share * 100).toFixed(1)} %`;
}

export function milliseconds(duration) {
  return duration < 10 ? `${duration.toFixed(1)} ms` : `${Math.round(duration)} ms`;
}

export function megabytes(bytes) {
  const value = bytes / 2 ** 20;
  return `${Number.isInteger(value) ? value : value.toFixed(1)} MB`;
}

export function kilometres(distance) {
  if (distance < 1) return "under 1 km";
  return `${distance < 10 ? distance.toFixed(1) : Math.round(distance)} km`;
}

/** `3 weeks ago`. */
export function age(date, now = Date.now()) {
  const days = (now - Date.parse(date)) / 86_400_000;
  if (Number.isNaN(days)) return null;
  if (days < 1) return relative.format(0, "day");
  if (days < 14) return relative.format(-Math.floor(days), "day");
  if (days < 61) return relative.format(-Math.floor(days / 7), "week");
  if (days < 730) return relative.format(-Math.floor(days / 30.44), "month");
  return relative.format(-Math.floor(days / 365.25), "year");
}

export function count(number, one, many) {
  return `${new Intl.NumberFormat(language).format(number)} ${number === 1 ? one : many}`;
}
