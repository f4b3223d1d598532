// Draws one fault as swim lanes over simulated time: injection, effect, alerts, response, recovery.
import { svg } from "/shared/dom.js";
import { duration, idOf, seconds, time } from "/static/format.js";

const ROW = 30;
const TITLE = 20;
const MAX_ALERTS = 12;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200,
  86400, 172800];

// Returns the part of the fault's time to draw as [from, to], in Unix seconds of simulated time.
export function span(fault, range, timeline) {
  const end = seconds(timeline.read_to);
  const began = seconds((fault.asked ?? fault.applied).event_time);
  if (range === "session") {
    const first = timeline.phases[0]?.event_time ?? timeline.records[0]?.event_time;
    return padded(Math.min(first ? seconds(first) : began, began), end, 0.01);
  }
  if (range === "detection" && fault.detection) {
    return padded(began, seconds(fault.detection.fired.event_time), 0.25);
  }
  const later = [fault.recovered, fault.ended, ...fault.responses,
    ...fault.alerts.flatMap((alert) => [alert.fired, alert.resolved])].filter(Boolean)
    .map((record) => seconds(record.event_time));
  const last = fault.recovered ? Math.max(...later) : end;
  return padded(began, Math.max(last, began + 10), 0.06);
}

function padded(from, to, share) {
  const margin = Math.max((to - from) * share, 0.5);
  return [from - margin, to + margin];
}

export function draw(fault, timeline, range, width, open) {
  const narrow = width < 620;
  const gutter = narrow ? 70 : 100;
  const [from, to] = span(fault, range, timeline);
  const x = (at) => gutter + ((at - from) / (to - from)) * (width - gutter - 8);
  const now = seconds(timeline.read_to);
  const inRange = (record) => seconds(record.event_time) <= to;
  const fired = fault.alerts.filter((alert) => inRange(alert.fired));
  const alerts = fired.slice(0, MAX_ALERTS);
  const killed = fault.responses.some((r) => r.kind === "KillSwitchChanged" && inRange(r));
  const rows = layOut(alerts.length, killed);
  const height = rows.end + 24;
  const image = svg("svg", {
    width, height, viewBox: `0 0 ${width} ${height}`, role: "group",
    "aria-label": `Swim lanes of ${fault.fault_id}; arrow keys go from mark to mark`,
  });
  const drawing = { image, x, from, to, width, gutter, rows, narrow, open, now, marks: [], captionEnds: new Map() };
  backdrop(drawing, fault, timeline);
  names(drawing, alerts.length, fired.length);
  connect(drawing, fault);
  for (const [record, name] of [[fault.asked, "asked for"], [fault.applied, "applied"]]) {
    if (record) mark(drawing, record, rows.injection, "injection", name === "applied" ? label(fault) : "");
  }
  bar(drawing, fault.applied, fault.ended, rows.injection, "injection");
  if (fault.effect) {
    bar(drawing, fault.effect, fault.recovered, rows.effect, "effect");
    mark(drawing, fault.effect, rows.effect, "effect", fault.effect.text);
  }
  alerts.forEach((alert, index) => {
    const row = rows.alerts + index * ROW;
    bar(drawing, alert.fired, alert.resolved, row, alert.severity);
    const after = alert.latency === null ? "" : `  +${duration(alert.latency_seconds)}`;
    mark(drawing, alert.fired, row, alert.severity, `${alert.rule} ${alert.subject}${after}`);
    if (alert.resolved) mark(drawing, alert.resolved, row, "resolved", "");
  });
  respond(drawing, fault);
  if (fault.recovery_asked) mark(drawing, fault.recovery_asked, rows.recovery, "asked", "");
  if (fault.ended) mark(drawing, fault.ended, rows.recovery, "ended", "");
  if (fault.recovered) mark(drawing, fault.recovered, rows.recovery, "recovery", "verified");
  finish(drawing);
  return image;
}

function layOut(alerts, killed) {
  const injection = 42;
  const effect = injection + ROW;
  const first = effect + ROW;
  const response = first + Math.max(alerts, 1) * ROW;
  const kill = killed ? response + ROW : response;
  const recovery = kill + ROW;
  return { injection, effect, alerts: first, response, kill, recovery, end: recovery + 16 };
}

const label = (fault) => (fault.target ? `${fault.kind}, played by ${fault.target}` : "applied");

// Draws the run's phases, the time axis, and the period in which the fault was active.
function backdrop({ image, x, from, to, width, gutter, rows }, fault, timeline) {
  const clamp = (at) => Math.min(Math.max(x(at), gutter), width);
  timeline.phases.forEach((phase, index) => {
    const next = timeline.phases[index + 1];
    const [left, right] = [clamp(seconds(phase.event_time)), next ? clamp(seconds(next.event_time)) : width];
    if (right - left < 1) return;
    image.append(svg("rect", { x: left, y: 0, width: right - left, height: 18, class: `phase p${index % 2}` }));
    if (right - left > phase.subject.length * 6.5 + 8) text(image, left + 5, 13, phase.subject, "phase-name");
  });
  const maxTicks = Math.max(2, Math.floor((width - gutter) / 90));
  const step = STEPS.find((s) => (to - from) / s <= maxTicks) ?? STEPS.at(-1);
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    image.append(svg("line", { x1: x(at), x2: x(at), y1: 18, y2: rows.end, class: "grid" }));
    const iso = new Date(at * 1000).toISOString();
    const anchor = x(at) > width - 30 ? "end" : x(at) < gutter + 20 ? "start" : "middle";
    text(image, x(at), rows.end + 16, tickText(iso, step), `tick ${anchor}`);
  }
  if (fault.applied) {
    const left = clamp(seconds(fault.applied.event_time));
    const right = fault.ended ? clamp(seconds(fault.ended.event_time)) : clamp(seconds(timeline.read_to));
    image.append(svg("rect", {
      x: left, y: TITLE, width: Math.max(right - left, 1), height: rows.end - TITLE, class: "played",
    }));
  }
}

// Returns the label of a tick: the date at midnight, otherwise the time.
function tickText(iso, step) {
  if (step >= 3600 && iso.slice(11, 16) === "00:00") return iso.slice(5, 10);
  return step < 60 ? iso.slice(11, 19) : iso.slice(11, 16);
}

function names({ image, rows, width }, drawn, all) {
  const lanes = [["Injection", rows.injection], ["Effect", rows.effect], ["Alerts", rows.alerts],
    ["Response", rows.response], ["Recovery", rows.recovery]];
  for (const [name, row] of lanes) {
    image.append(svg("line", { x1: 0, x2: width, y1: row - 16, y2: row - 16, class: "lane" }));
    text(image, 0, row + 3, name, "lane-name");
  }
  if (!all) text(image, 0, rows.alerts + 16, "none yet", "tick start");
  if (all > drawn) text(image, 0, rows.alerts + ROW, `+${all - drawn} in the table`, "tick start");
}

// Draws arrows from the injection to the effect, the first alert and the recovery.
function connect({ image, x, rows, from, to }, fault) {
  const order = fault.alerts.findIndex((a) => fault.detection && idOf(a.fired) === idOf(fault.detection.fired));
  const points = [[fault.applied, rows.injection], [fault.effect, rows.effect],
    [fault.detection?.fired, rows.alerts + Math.max(order, 0) * ROW], [fault.recovered, rows.recovery]]
    .filter(([record]) => record && seconds(record.event_time) >= from && seconds(record.event_time) <= to);
  for (let index = 1; index < points.length; index += 1) {
    const [[a, ya], [b, yb]] = [points[index - 1], points[index]];
    const [xa, xb] = [x(seconds(a.event_time)), x(seconds(b.event_time))];
    image.append(svg("path", { d: `M${xa},${ya} H${xb} V${yb - 9}`, class: "cause" }),
      svg("path", { d: `M${xb - 4},${yb - 13} L${xb},${yb - 7} L${xb + 4},${yb - 13}`, class: "cause" }));
  }
}

function bar({ image, x, from, to, now }, begun, ended, row, kind) {
  if (!begun) return;
  const left = Math.max(seconds(begun.event_time), from);
  const right = Math.min(ended ? seconds(ended.event_time) : now, to);
  if (right <= left) return;
  image.append(svg("rect", {
    x: x(left), y: row - 3, width: Math.max(x(right) - x(left), 1), height: 6, rx: 2,
    class: `bar ${kind}${ended ? "" : " open"}`,
  }));
}

// Draws the breaker's state as bars and kill switches as marks; those that would overlap share a mark.
function respond(drawing, fault) {
  const { rows } = drawing;
  const changes = fault.responses.filter((r) => r.kind === "BreakerChanged");
  changes.forEach((change, index) => {
    bar(drawing, change, changes[index + 1], rows.response, `breaker-${change.subject.toLowerCase()}`);
  });
  const moments = new Map();
  for (const record of fault.responses.filter((r) => r.kind === "KillSwitchChanged")) {
    const place = Math.round(drawing.x(seconds(record.event_time)) / 12);
    moments.set(place, [...(moments.get(place) ?? []), record]);
  }
  for (const records of moments.values()) {
    const caption = records.length > 1 ? `${records.length} kill switches` : `kill switch ${records[0].subject}`;
    mark(drawing, records[0], rows.kill, "kill", caption);
  }
  for (const change of changes) {
    mark(drawing, change, rows.response, `breaker-${change.subject.toLowerCase()}`, change.subject);
  }
}

// Draws a mark with a caption. Activating it opens the evidence of its record.
function mark(drawing, record, row, kind, caption) {
  const { image, x, from, to, width, open, marks } = drawing;
  const at = seconds(record.event_time);
  if (at < from || at > to) return;
  const px = x(at);
  const group = svg("g", {
    class: `mark ${kind}`, role: "button", tabindex: -1, "data-key": `mark ${idOf(record)}`,
    "aria-label": `${time(record.event_time)} ${record.event}, ${record.subject}${record.text ? `: ${record.text}` : ""}`,
  });
  group.append(svg("title"), svg("circle", { cx: px, cy: row, r: 13, class: "touch" }), shape(kind, px, row));
  group.firstChild.textContent = group.getAttribute("aria-label");
  group.addEventListener("click", () => open(record));
  group.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(record); }
  });
  image.append(group);
  marks.push([at, row, group]);
  if (!caption) return;
  const captionWidth = caption.length * (caption === caption.toUpperCase() ? 8 : 6.3) + 12;
  if (px + captionWidth > width) {
    text(image, Math.min(px - 9, width - 4), row - 5, caption, "said end");
    return;
  }
  const left = Math.max(px + 9, drawing.captionEnds.get(row) ?? 0);
  drawing.captionEnds.set(row, left + captionWidth);
  text(image, left, row - 5, caption, "said");
}

function shape(kind, x, y) {
  if (kind === "injection") return svg("path", { d: `M${x - 6},${y - 6} L${x + 6},${y} L${x - 6},${y + 6} Z` });
  if (kind === "effect") return svg("path", { d: `M${x},${y - 7} L${x + 7},${y} L${x},${y + 7} L${x - 7},${y} Z` });
  if (kind === "kill") return svg("path", { d: `M${x - 5},${y - 5} L${x + 5},${y + 5} M${x + 5},${y - 5} L${x - 5},${y + 5}` });
  if (kind.startsWith("breaker")) return svg("rect", { x: x - 5, y: y - 5, width: 10, height: 10 });
  if (["asked", "ended", "resolved"].includes(kind)) return svg("circle", { cx: x, cy: y, r: 4 });
  if (kind === "recovery") return svg("path", { d: `M${x - 6},${y} L${x - 1},${y + 5} L${x + 7},${y - 6}` });
  return svg("circle", { cx: x, cy: y, r: 6 });
}

function text(image, x, y, content, kind) {
  image.append(svg("text", { x, y, class: kind }, content));
}

// Makes the drawing one tab stop, in which the arrow keys move through the marks in order of time.
function finish({ image, marks }) {
  const ordered = marks.sort((a, b) => a[0] - b[0] || a[1] - b[1]).map((entry) => entry[2]);
  ordered[0]?.setAttribute("tabindex", 0);
  image.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const index = ordered.indexOf(event.target);
    if (!by || index < 0) return;
    event.preventDefault();
    const next = ordered[Math.min(Math.max(index + by, 0), ordered.length - 1)];
    event.target.setAttribute("tabindex", -1);
    next.setAttribute("tabindex", 0);
    next.focus();
  });
}
