// The dashboard: applies the event stream to the page.
import { $, leaveIfLoggedOut } from "/shared/dom.js";
import { alerts, count, updateAlerts, setSilences, tick as tickAlerts } from "/static/alerts.js";
import { extend, opening, setCurves, setMarks } from "/static/charts.js";
import { showBreaker, showExposures, showHealth, showPortfolio, setOpening }
  from "/static/figures.js";
import * as status from "/static/status.js";

// Milliseconds until the next attempt.
const RETRY_DELAY = 1000;

let stream = null;
let reconnecting = null;
let session = null;
let state = {};
let latestRequest = 0;
let loading = false;
// Portfolios that arrived while the curves were loading.
let pending = [];

// ---- events ------------------------------------------------------------------------------------

function onEvent(event) {
  status.onEvent(event);
  if (event.session !== session) {
    if (session !== null) loadCurves();
    session = event.session;
    state = {};
  }
  const before = state;
  state = { ...state, ...event };
  const newAlerts = updateAlerts(event.alerts, event.full);
  if (event.silences) setSilences(event.silences);
  if (event.breaker) showBreaker(event.breaker);
  if (event.portfolio) {
    showPortfolio(event.portfolio, event.exposures);
    showExposures(event.exposures);
    showHealth(event.health, event.portfolio.marks);
    if (loading) pending.push(event.portfolio);
    else if (!extend(event.portfolio)) loadCurves();
  }
  if (event.full || event.breaker || event.alerts.length) markCharts();
  announceChanges(event, before, newAlerts);
  updateTab();
}

function updateTab() {
  status.showTab({
    breaker: state.breaker?.state,
    firing: count("firing"),
    acknowledged: count("acknowledged"),
    pnl: state.portfolio?.known ? state.portfolio.pnl : undefined,
  });
}

function announceChanges(event, before, newAlerts) {
  const breaker = state.breaker?.state;
  if (event.full) {
    status.announce(`Breaker ${breaker}, ${count("firing")} alerts firing`);
    return;
  }
  for (const alert of newAlerts) {
    status.announce(`${alert.severity}: ${alert.rule} on ${alert.subject}, ${alert.observed}`,
      alert.severity === "critical");
  }
  if (before.breaker && before.breaker.state !== breaker) {
    status.announce(`Breaker ${breaker}`, breaker === "HALTED");
  }
}

function markCharts() {
  const seconds = (text) => Date.parse(text) / 1000;
  const changes = (state.breaker?.changes ?? []).map((change) =>
    ({ time: seconds(change.time), label: change.state, kind: change.state.toLowerCase() }));
  const fired = alerts().map((alert) =>
    ({ time: seconds(alert.detected_time), label: "", kind: alert.severity }));
  setMarks([...fired, ...changes.reverse()]);
}

// ---- curves: fetched at every (re)connection, then extended by events -----------------------------

async function loadCurves() {
  const request = ++latestRequest;
  loading = true;
  try {
    const response = await fetch("/api/curves");
    if (!response.ok) throw new Error(`status ${response.status}`);
    const curves = await response.json();
    if (request !== latestRequest) return;
    setCurves(curves);
    setOpening(opening());
    loading = false;
    for (const portfolio of pending.splice(0)) extend(portfolio);
  } catch {
    setTimeout(() => { if (request === latestRequest) loadCurves(); }, 2 * RETRY_DELAY);
  }
}

// ---- the stream --------------------------------------------------------------------------------

function connect() {
  clearTimeout(reconnecting);
  reconnecting = null;
  stream?.close();
  const source = stream = new EventSource("/events");
  source.onopen = () => {
    pending = [];
    loadCurves();
  };
  source.onmessage = (message) => {
    if (document.body.dataset.connection !== "live") status.connection("live", "live");
    onEvent(JSON.parse(message.data));
  };
  source.onerror = () => {
    onConnectionLost("Connection to the risk monitor lost.");
    if (source.readyState === EventSource.CLOSED && source === stream) {
      leaveIfLoggedOut("/api/portfolio");
      scheduleReconnect();
    }
  };
}

function scheduleReconnect() {
  reconnecting ??= setTimeout(connect, RETRY_DELAY);
}

function onConnectionLost(why) {
  status.connection("lost", "connection lost", why);
  updateTab();
}

$("retry").addEventListener("click", connect);
addEventListener("online", connect);

setInterval(() => {
  status.tick();
  tickAlerts(status.simulated);
  if (document.body.dataset.connection === "live" && status.silent()) {
    onConnectionLost("The risk monitor has said nothing for 12 seconds.");
    stream.close();
    scheduleReconnect();
  }
}, 1000);

connect();
