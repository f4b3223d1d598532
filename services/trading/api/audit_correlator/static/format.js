// How the audit page writes numbers, times, hashes and durations.

export const number = (value) => Number(value).toLocaleString("en-US");
export const time = (text) => (text ? text.slice(11, 23) : "–");
export const moment = (text) => (text ? `${text.slice(0, 10)} ${text.slice(11, 23)}` : "–");
export const short = (hash) => `${hash.slice(0, 8)}…${hash.slice(-6)}`;
export const seconds = (text) => Date.parse(text) / 1000;
export const idOf = (record) => `${record.source}/${record.seq}`;

// Formats seconds as briefly as possible: "52.5 s", "2 min 2 s", "1 h 3 min".
export function duration(value) {
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 60) return `${Number(value.toFixed(value < 10 ? 2 : 1))} s`;
  if (value < 3600) {
    const rest = Math.round(value % 60);
    return `${Math.floor(value / 60)} min${rest ? ` ${rest} s` : ""}`;
  }
  const minutes = Math.round(value / 60);
  return `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
}
