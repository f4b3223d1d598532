// The audit page: a stream says that more has been read, then the timeline is read again.
import { $, element, leaveIfLoggedOut } from "/static/dom.js";
import { open, takeRecords, verifyLedger } from "/static/evidence.js";
import { draw } from "/static/lanes.js";
import { showFindings, showJournals, showLedger, showRecords, showSummary, showUnexplained, steps }
  from "/static/panels.js";

const RETRY = 1000;
const SILENCE = 30_000;

let stream = null;
let reconnecting = null;
let heard = 0;
let told = "";
let timeline = null;
let reading = false;
let again = false;

const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`).value;

// ---- what has been read ------------------------------------------------------------------------

function take(event) {
  showSummary(event);
  showJournals(event.chains);
  showFindings(event.findings, event.chains);
  showLedger(event.ledger);
  const news = JSON.stringify([event.session, event.ledger, event.report.final]);
  const moving = timeline?.faults.some((fault) => !fault.recovered);
  if (news !== told || moving) {
    told = news;
    read();
  }
}

async function read() {
  if (reading) { again = true; return; }
  reading = true;
  try {
    const answer = await fetch("/api/v1/timeline");
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    timeline = await answer.json();
    show();
  } catch {
    told = "";
    setTimeout(read, 2 * RETRY);
  } finally {
    reading = false;
  }
  if (again) { again = false; read(); }
}

function show() {
  if (!timeline) return;
  takeRecords(timeline.records);
  showRecords(timeline, chosen("filter"));
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
        draw(fault, timeline, chosen("range"), Math.max($("faults").clientWidth, 280), open)));
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
  heard = Date.now();
  const mine = stream = new EventSource("/events");
  mine.onmessage = (message) => {
    heard = Date.now();
    connection("live", "live");
    take(JSON.parse(message.data));
  };
  mine.onopen = () => {
    heard = Date.now();
    connection("live", "live");
    told = "";
  };
  mine.onerror = () => {
    connection("lost", "connection lost, trying again");
    if (mine.readyState === EventSource.CLOSED && mine === stream) {
      leaveIfLoggedOut("/api/v1/findings");
      reconnecting ??= setTimeout(connect, RETRY);
    }
  };
  mine.addEventListener("alive", () => { heard = Date.now(); });
}

setInterval(() => { if (Date.now() - heard > SILENCE && !reconnecting) connect(); }, RETRY);
addEventListener("online", connect);
for (const name of ["range", "filter"]) $(name).addEventListener("change", show);
$("ledger-verify").addEventListener("click", verifyLedger);
let width = 0;
new ResizeObserver(() => {
  if ($("faults").clientWidth !== width) { width = $("faults").clientWidth; show(); }
}).observe($("faults"));
connect();
