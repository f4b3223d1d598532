// How the dashboard writes numbers, times and durations.

const signs = (text) => text.replace("-", "−");
const plain = (text) => (/^-[0.,]*$/.test(text) ? text.slice(1) : text);

export const number = (value, digits = 0) =>
  signs(plain(Number(value).toLocaleString("en-US", { maximumFractionDigits: digits })));

export const signed = (value, digits = 0) => {
  const text = number(value, digits);
  return Number(value) > 0 && /[1-9]/.test(text) ? `+${text}` : text;
};

// 0.0123 -> "+1.23 %"
export const percent = (ratio) => {
  const text = plain((ratio * 100).toFixed(2));
  return `${ratio > 0 && Number(text) ? "+" : ""}${signs(text)} %`;
};

// Adds separators to numbers in the monitor's texts: "230632.72 USD" becomes "230,632.72 USD".
export const readable = (text) => signs(text.replace(/(?<![\d.])\d{4,}(\.\d+)?/g,
  (digits) => Number(digits).toLocaleString("en-US", { maximumFractionDigits: 2 })));

export const price = (value) => {
  const digits = Math.abs(value) < 10 ? 4 : 2;
  return Number(value).toLocaleString("en-US",
    { minimumFractionDigits: digits, maximumFractionDigits: digits });
};

export const time = (text) => (text ? text.slice(11, 19) : "");

export function duration(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor(seconds / 3600) % 24} h`;
}
