// The audit page. The event stream tells that the auditor has read more journal entries; then the
// timeline is fetched again.
import { $, element, leaveIfLoggedOut } from "/shared/dom.js";
import { open, setRecords, verifyLedger } from "/static/evidence.js";
import { draw } from "/static/lanes.js";
import { showFindings, showJournals, showLedger, showRecords, showSummary, showUnexplained, steps }
  from "/static/panels.js";

// Milliseconds: until the next attempt, and without a message until the connection counts as lost.
const RETRY_DELAY = 1000;
const SILENCE_TIMEOUT = 30_000;

let stream = null;
let reconnecting = null;
let lastMessageAt = 0;
// State for which the timeline was last fetched, as JSON.
let readState = "";
let timeline = null;
let reading = false;
let readAgain = false;

const checkedValue = (name) => document.querySelector(`input[name="${name}"]:checked`).value;

// ---- timeline ----------------------------------------------------------------------------------

function onState(event) {
  showSummary(event);
  showJournals(event.chains);
  showFindings(event.findings, event.chains);
  showLedger(event.ledger);
  const newState = JSON.stringify([event.session, event.ledger, event.report.final]);
  const unfinished = timeline?.faults.some((fault) => !fault.recovered);
  if (newState !== readState || unfinished) {
    readState = newState;
    readTimeline();
  }
}

async function readTimeline() {
  if (reading) { readAgain = true; return; }
  reading = true;
  try {
    const response = await fetch("/api/v1/timeline");
    if (!response.ok) throw new Error(`status ${response.status}`);
    timeline = await response.json();
    show();
  } catch {
    readState = "";
    setTimeout(readTimeline, 2 * RETRY_DELAY);
  } finally {
    reading = false;
  }
  if (readAgain) { readAgain = false; readTimeline(); }
}

function show() {
  if (!timeline) return;
  setRecords(timeline.records);
  showRecords(timeline, checkedValue("filter"));
  showUnexplained(timeline.unexplained);
  showFaults();
}

function showFaults() {
  const focused = document.activeElement?.getAttribute("data-key");
  $("no-faults").hidden = timeline.faults.length > 0;
  $("no-faults").textContent = timeline.run_id
    ? "The steady state comes first: no fault has been injected yet."
    : "No fault in this session. Break something: trading scenario run market-crash";
  $("faults").replaceChildren(...timeline.faults.map((fault) => {
    const title = element("h3", fault.fault_id, { id: `fault-${fault.fault_id}` });
    const block = element("article", null, { "aria-labelledby": title.id }, title,
      element("ol", null, { className: "steps" }, ...steps(fault)));
    if (fault.asked || fault.applied) {
      block.append(element("div", null, { className: "lanes" },
        draw(fault, timeline, checkedValue("range"), Math.max($("faults").clientWidth, 280), open)));
    }
    return block;
  }));
  if (focused) document.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

// ---- the stream --------------------------------------------------------------------------------

function connection(state, text) {
  document.body.dataset.connection = state;
  if ($("connection").textContent !== text) $("connection").textContent = text;
}

function connect() {
  clearTimeout(reconnecting);
  reconnecting = null;
  stream?.close();
  lastMessageAt = Date.now();
  const source = stream = new EventSource("/events");
  source.onmessage = (message) => {
    lastMessageAt = Date.now();
    connection("live", "live");
    onState(JSON.parse(message.data));
  };
  source.onopen = () => {
    lastMessageAt = Date.now();
    connection("live", "live");
    readState = "";
  };
  source.onerror = () => {
    connection("lost", "connection lost, trying again");
    if (source.readyState === EventSource.CLOSED && source === stream) {
      leaveIfLoggedOut("/api/v1/findings");
      reconnecting ??= setTimeout(connect, RETRY_DELAY);
    }
  };
  source.addEventListener("alive", () => { lastMessageAt = Date.now(); });
}

setInterval(() => { if (Date.now() - lastMessageAt > SILENCE_TIMEOUT && !reconnecting) connect(); }, RETRY_DELAY);
addEventListener("online", connect);
for (const name of ["range", "filter"]) $(name).addEventListener("change", show);
$("ledger-verify").addEventListener("click", verifyLedger);
let width = 0;
new ResizeObserver(() => {
  if ($("faults").clientWidth !== width) { width = $("faults").clientWidth; show(); }
}).observe($("faults"));
connect();
