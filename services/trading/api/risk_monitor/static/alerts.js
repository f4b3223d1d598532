// The table of alerts, open ones first and then newest first, with its filter and actions; and the
// list of silences.
import { $, element, reconcile, setText } from "/shared/dom.js";
import { duration, readable, time } from "/static/format.js";
import { actOrOpenDialog, openSilenceDialog, post } from "/static/act.js";

const MAX_KEPT = 500;
const FILTERS = [["open", "Open"], ["firing", "Firing"], ["acknowledged", "Acknowledged"],
  ["resolved", "Resolved"], ["all", "All"]];
const MARKS = { info: "i", warning: "▲", critical: "◆" };
const EMPTY = {
  open: "No open alerts. All rules are within their limits.",
  firing: "No alert is firing.",
  acknowledged: "Nobody is looking after an alert.",
  resolved: "No alert has been resolved in this session.",
  all: "No alert in this session.",
};

const byId = new Map();
let silences = [];
let activeFilter = FILTERS.some(([name]) => name === localStorage.getItem("filter"))
  ? localStorage.getItem("filter") : "all";
let simulated = () => 0;

export const alerts = () => [...byId.values()];
export const count = (state) => alerts().filter((alert) => alert.state === state).length;

const isOpen = (alert) => alert.state !== "resolved";
const matches = (alert, filter) =>
  filter === "all" || alert.state === filter || (filter === "open" && isOpen(alert));

// Adds or updates alerts, with `full` replacing all. Returns those that are new and firing.
export function updateAlerts(changed, full) {
  if (full) byId.clear();
  const newlyFiring = changed.filter((a) => a.state === "firing" && !byId.has(a.alert_id));
  for (const alert of changed) byId.set(alert.alert_id, alert);
  for (const [id, alert] of byId) {
    if (byId.size <= MAX_KEPT) break;
    if (!isOpen(alert)) byId.delete(id);
  }
  show();
  return newlyFiring;
}

export function setSilences(newSilences) {
  silences = newSilences;
  showSilences();
}

function show() {
  const rows = alerts().filter((alert) => matches(alert, activeFilter));
  rows.sort((a, b) => isOpen(b) - isOpen(a) || b.detected_time.localeCompare(a.detected_time));
  const focused = focusedAction();
  reconcile($("alerts"), rows, (alert) => alert.alert_id, makeRow, updateRow);
  restoreFocus(focused);
  $("no-alerts").hidden = rows.length > 0;
  setText($("no-alerts"), EMPTY[activeFilter]);
  for (const [name] of FILTERS) {
    setText($(`count-${name}`), String(alerts().filter((a) => matches(a, name)).length));
  }
  const firing = count("firing");
  $("acknowledge-all").hidden = firing < 2;
  setText($("acknowledge-all"), `Acknowledge all ${firing}`);
}

// ---- one row -----------------------------------------------------------------------------------

function makeRow(alert) {
  const { rule, subject } = alert;
  const mark = element("span", MARKS[alert.severity], { className: "mark", "aria-hidden": "true" });
  mark.dataset.severity = alert.severity;
  const name = element("td", undefined, { className: "rule" }, element("div", undefined, {}, mark,
    element("span", undefined, {}, element("strong", rule),
      element("span", ` ${alert.severity}`, { className: "severity" }),
      element("span", alert.description, { className: "quiet small" }))));
  const observed = element("td", undefined, { className: "observed" },
    element("strong", readable(alert.observed)),
    element("span", alert.limit ? `limit ${readable(alert.limit)}` : "", { className: "quiet small" }));
  const noticed = element("td", undefined, { className: "noticed" }, element("span", time(alert.detected_time)),
    element("span", `after ${alert.latency}`, { className: "quiet small" }));
  const state = element("td", undefined, { className: "status" }, element("span"),
    element("span", "", { className: "quiet small" }));
  const acknowledge = element("button", "Acknowledge",
    { type: "button", "aria-label": `Acknowledge ${rule} on ${subject}` });
  acknowledge.dataset.action = "acknowledge";
  acknowledge.addEventListener("click", () => acknowledgeAlert(alert.alert_id));
  const silence = element("button", "Silence…",
    { type: "button", className: "plain", "aria-label": `Silence ${rule} on ${subject}` });
  silence.dataset.action = "silence";
  silence.addEventListener("click", () => openSilenceDialog({ rule, subject }, [subject]));
  const actions = element("td", undefined, { className: "actions" }, acknowledge, silence);
  return element("tr", undefined, {}, name, element("td", subject, { className: "subject" }),
    observed, noticed, state, actions);
}

function updateRow(row, alert) {
  row.dataset.state = alert.state;
  row.querySelector("[data-action=acknowledge]").hidden = alert.state !== "firing";
  row.querySelector("[data-action=silence]").hidden = !isOpen(alert);
  const [state, since] = row.querySelector(".status").children;
  const by = alert.acknowledged_by ? `by ${alert.acknowledged_by}, ` : "";
  setText(state, alert.state);
  setText(since, by + sinceWhen(alert));
}

function sinceWhen(alert) {
  if (!isOpen(alert)) return `at ${time(alert.resolved_time)}`;
  return `for ${duration((simulated() - Date.parse(alert.detected_time)) / 1000)}`;
}

// ---- focus: the button that had it may have disappeared ------------------------------------------

function focusedAction() {
  const button = document.activeElement;
  const row = button?.closest?.("#alerts tr");
  return row ? { row, button, at: [...$("alerts").children].indexOf(row) } : null;
}

function restoreFocus(focused) {
  if (!focused || (focused.button.isConnected && !focused.button.hidden)) return;
  const rows = [...$("alerts").children];
  const near = [...rows.slice(focused.at), ...rows.slice(0, focused.at).reverse()];
  const next = near.map((row) => row.querySelector("[data-action=acknowledge]:not([hidden])"))
    .find(Boolean);
  (next ?? $("alerts-title")).focus();
}

// ---- actions -----------------------------------------------------------------------------------

const pathOf = (id) => `/api/alerts/${id.split("/").map(encodeURIComponent).join("/")}/acknowledge`;

function acknowledgeAlert(id) {
  actOrOpenDialog({ title: "Acknowledge the alert", go: "Acknowledge",
    text: "The desk sees that you look after it." }, ({ by }) => post(pathOf(id), { by }));
}

$("acknowledge-all").addEventListener("click", () => {
  const firing = alerts().filter((alert) => alert.state === "firing");
  actOrOpenDialog({ title: `Acknowledge ${firing.length} alerts`, go: "Acknowledge",
    text: "The desk sees that you look after them." }, async ({ by }) => {
    for (const alert of firing) {
      // An alert that was resolved or acknowledged in the meantime is skipped, which is no error.
      if (byId.get(alert.alert_id)?.state === "firing") await post(pathOf(alert.alert_id), { by });
    }
  });
});

$("silence").addEventListener("click", () =>
  openSilenceDialog({}, alerts().map((alert) => alert.subject)));

// ---- silences ----------------------------------------------------------------------------------

const silenceKey = (silence) => `${silence.rule}/${silence.subject}`;

function showSilences() {
  const active = silences.filter((s) => Date.parse(s.until) > simulated());
  $("silences-part").hidden = active.length === 0;
  reconcile($("silences"), active, silenceKey, (silence) => {
    const about = silence.subject === "*" ? "anything" : silence.subject;
    const end = element("button", "End", { type: "button", className: "plain",
      "aria-label": `End the silence of ${silence.rule} on ${about}` });
    end.addEventListener("click", () => {
      const path = [silence.rule, silence.subject].map(encodeURIComponent).join("/");
      actOrOpenDialog({ title: "End the silence", go: "End it",
        text: `${silence.rule} on ${about} may fire again at once.` },
      ({ by }) => post(`/api/silences/${path}/end`, { by }));
    });
    return element("li", undefined, {}, element("strong", silence.rule),
      element("span", ` on ${about} `), element("span", "", { className: "quiet until" }), end);
  }, (node, silence) => {
    const remaining = (Date.parse(silence.until) - simulated()) / 1000;
    const until = `until ${time(silence.until)}, ${duration(remaining)} more, by ${silence.by}`;
    setText(node.querySelector(".until"), until);
  });
}

// ---- the filter --------------------------------------------------------------------------------

$("filter").append(...FILTERS.map(([name, label]) => {
  const input = element("input", undefined,
    { type: "radio", name: "filter", value: name, checked: name === activeFilter });
  input.addEventListener("change", () => {
    activeFilter = name;
    localStorage.setItem("filter", name);
    show();
  });
  return element("label", undefined, {}, input, element("span", `${label} `, {},
    element("b", "0", { id: `count-${name}` })));
}));

// Called once a second: updates how long alerts have been open, and how long silences will last.
export function tick(now) {
  simulated = now;
  for (const row of $("alerts").children) {
    const alert = byId.get(row.dataset.key);
    if (alert && isOpen(alert)) updateRow(row, alert);
  }
  showSilences();
}
