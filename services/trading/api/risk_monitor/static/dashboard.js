// The dashboard: a stream of changes in, buttons out.
import { $, leaveIfLoggedOut } from "/static/dom.js";
import { alerts, count, takeAlerts, takeSilences, tick as tickAlerts } from "/static/alerts.js";
import { extend, opening, takeCurves, takeMarks } from "/static/charts.js";
import { showBreaker, showExposures, showHealth, showPortfolio, takeOpening }
  from "/static/figures.js";
import * as status from "/static/status.js";

const RETRY = 1000;

let stream = null;
let reconnecting = null;
let session = null;
let state = {};
let newest = 0;
let loading = false;
let held = [];

// ---- events in ---------------------------------------------------------------------------------

function take(event) {
  status.hear(event);
  if (event.session !== session) {
    if (session !== null) loadCurves();
    session = event.session;
    state = {};
  }
  const before = state;
  state = { ...state, ...event };
  const fresh = takeAlerts(event.alerts, event.full);
  if (event.silences) takeSilences(event.silences);
  if (event.breaker) showBreaker(event.breaker);
  if (event.portfolio) {
    showPortfolio(event.portfolio, event.exposures);
    showExposures(event.exposures);
    showHealth(event.health, event.portfolio.marks);
    if (loading) held.push(event.portfolio);
    else if (!extend(event.portfolio)) loadCurves();
  }
  if (event.full || event.breaker || event.alerts.length) markCharts();
  tell(event, before, fresh);
  tab();
}

function tab() {
  status.showTab({
    breaker: state.breaker?.state,
    firing: count("firing"),
    acknowledged: count("acknowledged"),
    pnl: state.portfolio?.known ? state.portfolio.pnl : undefined,
  });
}

function tell(event, before, fresh) {
  const breaker = state.breaker?.state;
  if (event.full) {
    status.announce(`Breaker ${breaker}, ${count("firing")} alerts firing`);
    return;
  }
  for (const alert of fresh) {
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
  takeMarks([...fired, ...changes.reverse()]);
}

// ---- curves: read at every (re)connection, then drawn on from events ------------------------------

async function loadCurves() {
  const mine = ++newest;
  loading = true;
  try {
    const answer = await fetch("/api/curves");
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const found = await answer.json();
    if (mine !== newest) return;
    takeCurves(found);
    takeOpening(opening());
    loading = false;
    for (const portfolio of held.splice(0)) extend(portfolio);
  } catch {
    setTimeout(() => { if (mine === newest) loadCurves(); }, 2 * RETRY);
  }
}

// ---- the stream --------------------------------------------------------------------------------

function connect() {
  clearTimeout(reconnecting);
  reconnecting = null;
  stream?.close();
  const mine = stream = new EventSource("/events");
  mine.onopen = () => {
    held = [];
    loadCurves();
  };
  mine.onmessage = (message) => {
    if (document.body.dataset.connection !== "live") status.connection("live", "live");
    take(JSON.parse(message.data));
  };
  mine.onerror = () => {
    lost("Connection to the risk monitor lost.");
    if (mine.readyState === EventSource.CLOSED && mine === stream) {
      leaveIfLoggedOut("/api/portfolio");
      again();
    }
  };
}

function again() {
  reconnecting ??= setTimeout(connect, RETRY);
}

function lost(why) {
  status.connection("lost", "connection lost", why);
  tab();
}

$("retry").addEventListener("click", connect);
addEventListener("online", connect);

setInterval(() => {
  status.tick();
  tickAlerts(status.simulated);
  if (document.body.dataset.connection === "live" && status.silent()) {
    lost("The risk monitor has said nothing for 12 seconds.");
    stream.close();
    again();
  }
}, 1000);

connect();
