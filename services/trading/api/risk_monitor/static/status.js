// The state of the page itself: browser tab, clock, connection, announcements for screen readers.
import { $, setText } from "/shared/dom.js";
import { duration, number, signed } from "/static/format.js";

// Milliseconds of wall time without an event after which the connection counts as lost; the server
// sends a keep-alive every 5 s.
const SILENT_AFTER = 12_000;
const ANNOUNCE_DELAY = 1500;

let anchor = null;
let lastEventAt = performance.now();
let currentIconKey = "";

// Returns the simulated time, milliseconds since the Unix epoch. It advances between events, but stops
// when none arrive.
export const simulated = () => (anchor
  ? anchor.at + Math.min(performance.now() - anchor.since, SILENT_AFTER) * anchor.speed : 0);

export function onEvent(event) {
  lastEventAt = performance.now();
  anchor = { at: Date.parse(event.time), since: lastEventAt, speed: event.speed };
  setText($("pace"), event.speed === 1 ? "UTC" : `UTC, ${number(event.speed, 1)}× time`);
  setText($("session"), String(event.session));
}

export const silent = () => performance.now() - lastEventAt > SILENT_AFTER;

export function connection(state, text, why = "") {
  document.body.dataset.connection = state;
  setText($("connection"), text);
  $("lost").hidden = state !== "lost";
  if (state === "lost") {
    const as = anchor ? ` What you see is as of ${new Date(anchor.at).toISOString().slice(11, 19)}.` : "";
    setText($("lost-text"), `${why}${as} Trying again; if it stays, see whether the risk monitor runs.`);
  }
}

export function tick() {
  if (anchor) {
    const lost = document.body.dataset.connection === "lost";
    const at = new Date(lost ? anchor.at : simulated()).toISOString();
    setText($("clock"), at.replace("T", " ").slice(0, 19));
    setText($("since"), `updated ${duration((performance.now() - lastEventAt) / 1000)} ago`);
  }
}

// ---- the tab -----------------------------------------------------------------------------------

const COLOURS = { ACTIVE: "#2f9e6b", REDUCING: "#f2b84b", HALTED: "#e5484d", lost: "#8592a3" };
const SHAPES = {
  ACTIVE: "<circle cx='16' cy='16' r='14'/>",
  REDUCING: "<path d='M16 31 0 3h32z'/>",
  HALTED: "<path d='M9 1h14l8 8v14l-8 8H9l-8-8V9z'/>",
  lost: "<path d='M4 9 9 4l7 7 7-7 5 5-7 7 7 7-5 5-7-7-7 7-5-5 7-7z'/>",
};

function setIcon(state, firing) {
  const iconKey = `${state}${firing}`;
  if (iconKey === currentIconKey) return;
  currentIconKey = iconKey;
  const ink = state === "REDUCING" ? "#000" : "#fff";
  const text = firing && state !== "lost" ? `<text x='16' y='${state === "REDUCING" ? 18 : 22}'`
    + ` font-size='17' font-weight='bold' font-family='sans-serif' text-anchor='middle' fill='${ink}'>`
    + `${firing > 9 ? "9+" : firing}</text>` : "";
  const svg = `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'><g fill='${COLOURS[state]}'>`
    + `${SHAPES[state]}</g>${text}</svg>`;
  $("icon").href = `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

export function showTab({ breaker, firing, acknowledged, pnl }) {
  const alertText = firing ? `${firing} firing` : "no alert firing";
  setText($("head-firing"), acknowledged ? `${alertText}, ${acknowledged} acknowledged` : alertText);
  $("head-firing").dataset.count = firing;
  if (document.body.dataset.connection === "lost") {
    document.title = "No connection · Risk";
    setIcon("lost", 0);
    return;
  }
  if (!breaker) return;
  const parts = [firing ? `(${firing})` : "", breaker === "ACTIVE" ? "" : breaker,
    pnl === undefined ? "" : signed(pnl)];
  document.title = `${parts.filter(Boolean).join(" ")} · Risk`;
  setIcon(breaker, firing);
}

// ---- announcements: batched for a moment, so that many events at once become one ------------------

let queued = [];
let timer = null;

export function announce(text, urgent = false) {
  queued.push({ text, urgent });
  timer ??= setTimeout(() => {
    const batch = queued;
    queued = [];
    timer = null;
    const message = batch.length > 3
      ? `${batch.slice(0, 3).map((f) => f.text).join("; ")}; and ${batch.length - 3} more`
      : batch.map((f) => f.text).join("; ");
    $(batch.some((f) => f.urgent) ? "alarm" : "announce").textContent = message;
  }, ANNOUNCE_DELAY);
}
