// The textual parts of the page: figures, journals, findings, ledger and records.
import { $, element, reconcile, setText } from "/shared/dom.js";
import { duration, idOf, moment, number, seconds, short, time } from "/static/format.js";
import { open } from "/static/evidence.js";

const GROUPS = { alert: /^alert/, fault: /^(fault|effect|recovery)/, phase: /^phase/, response: /^(circuit|kill)/ };

// ---- summary -------------------------------------------------------------------------------------

export function showSummary(event) {
  const journals = Object.values(event.chains);
  const broken = journals.filter((journal) => !journal.verified).length;
  const { report, findings } = event;
  setText($("run"), event.run_id ? `run ${event.run_id}` : "no run, the market trades");
  setText($("session"), event.session);
  const read = journals.map((journal) => journal.read_to).filter(Boolean).sort().at(-1);
  setText($("clock"), read ? moment(read).slice(0, 19) : "–");
  setText($("pace"), event.speed === 1 ? "UTC" : `UTC, ${event.speed}×`);
  figure("chains", `${journals.length - broken} of ${journals.length}`, broken ? "bad" : read ? "good" : "");
  const entries = journals.reduce((sum, journal) => sum + journal.read, 0);
  figure("entries", number(entries), "");
  figure("coverage", report.coverage ?? "pending", report.final ? (report.coverage_percent === 100 ? "good" : "bad") : "");
  figure("findings-count", number(findings.length), findings.length ? "bad" : read ? "good" : "");
  figure("false-alarms", number(event.unexplained), event.unexplained ? "warn" : read ? "good" : "");
  setText($("root-title"), report.final ? "Root of the report" : "Root so far");
  setText($("root"), report.root);
  const [state, word, why] = verdictOf(event, broken);
  $("state").dataset.state = state;
  setText($("state"), word);
  setText($("verdict"), why);
  document.title = `${word.replace(/^\S /, "")} · ${event.run_id ?? `session ${event.session}`} · Audit`;
}

const counted = (count, what) => `${number(count)} ${what}${count === 1 ? "" : "s"}`;

function verdictOf({ report, chains, findings }, broken) {
  const count = counted(findings.length, "finding");
  if (broken) return ["bad", "✗ CHAIN BROKEN", `${broken} of the journals was changed after it was written: see below.`];
  if (!Object.keys(chains).length) return ["", "WAITING", "No journal has been read yet."];
  if (report.final && !report.complete) {
    return ["bad", "✗ INCOMPLETE", `Not every journal could be read to its head by ${moment(report.time)}: ${count}.`];
  }
  if (findings.length) return ["bad", "✗ FINDINGS", `${count}: the services do not say what their trades say.`];
  if (report.final) {
    return ["good", "✓ VERIFIED", `As of ${moment(report.time)}: ${number(report.events)} entries, every journal read to `
      + `its head, every chain holds, everything reconciles, ${counted(report.false_alarms, "unexplained alert")}.`];
  }
  return ["", "READING", "Every chain holds so far. Coverage and the final root come with the report at the end of a run."];
}

function figure(id, text, state) {
  setText($(id), text);
  $(id).dataset.state = state;
}

// ---- journals, findings, ledger ------------------------------------------------------------------

export function showJournals(chains) {
  $("no-journals").hidden = Object.keys(chains).length > 0;
  reconcile($("journals"), Object.entries(chains), ([name]) => name, ([name, journal]) => {
    const sign = element("span", journal.verified ? "✓ " : "✗ ", { className: "sign", "aria-hidden": true });
    const hiddenText = element("span", journal.verified ? ", verified" : ", broken", { className: "hidden" });
    const row = element("tr");
    row.dataset.ok = journal.verified;
    row.append(element("th", null, { scope: "row" }, sign, name, hiddenText),
      element("td", number(journal.read), { className: "number" }),
      element("td", time(journal.read_to)),
      element("td", null, {}, element("code", short(journal.head), { title: journal.head })));
    if (!journal.verified) {
      row.firstChild.append(element("span", `broken at entry ${journal.broken_at}: ${journal.why}`, { className: "small" }));
    }
    return row;
  });
}

export function showFindings(findings, chains) {
  $("no-findings").hidden = findings.length > 0;
  if (Object.keys(chains).length) {
    setText($("no-findings"), "✓ None. Exchange, custodian and risk monitor say what the trades say.");
  }
  reconcile($("findings"), findings, (d) => `${d.kind} ${d.where} ${d.detail}`, (d) => element("li", null, {},
    element("strong", d.kind), ` ${d.where}`, element("span", d.detail, { className: "small quiet" })));
}

export function showUnexplained(alerts) {
  $("unexplained-part").hidden = alerts.length === 0;
  const newest = alerts.slice(-20).reverse();
  reconcile($("unexplained"), newest, (alert) => idOf(alert.fired), (alert) => element("li", null, {},
    evidenceButton(alert.fired, `${time(alert.fired.event_time)} ${alert.rule}`),
    element("span", ` ${alert.fired.text}`, { className: "quiet small" })));
}

export function showLedger(ledger) {
  setText($("ledger-lines"), number(ledger.length));
  setText($("ledger-waiting"), ledger.waiting ? `${number(ledger.waiting)} for the slowest journal` : "none");
  setText($("ledger-head"), ledger.head);
}

// ---- records -------------------------------------------------------------------------------------

export function showRecords(timeline, filter) {
  const latency = latencies(timeline.faults);
  const selected = timeline.records.filter((record) => !filter || GROUPS[filter].test(record.event));
  $("no-records").hidden = selected.length > 0;
  setText($("no-records"), timeline.records.length ? "No such record." : "Nothing has happened yet that matters.");
  setText($("left-off"), timeline.left_off ? `the newest ${timeline.records.length} of ${timeline.records.length + timeline.left_off}` : "");
  const rows = selected.map((record) => ({ record, after: latency.get(idOf(record)) ?? "" }));
  reconcile($("records"), rows, ({ record }) => idOf(record), recordRow);
}

// Returns, by the record's id, how long after the fault's effect it happened.
function latencies(faults) {
  const byRecord = new Map();
  for (const fault of faults) {
    if (!fault.effect) continue;
    const effect = seconds(fault.effect.event_time);
    const several = faults.length > 1 ? ` (${fault.fault_id})` : "";
    const records = [...fault.alerts.map((alert) => alert.fired), ...fault.responses];
    if (fault.recovered) records.push(fault.recovered);
    for (const record of records) {
      const after = seconds(record.event_time) - effect;
      byRecord.set(idOf(record), `${after < 0 ? "before it" : `+${duration(after)}`}${several}`);
    }
  }
  return byRecord;
}

function recordRow({ record, after }) {
  const row = element("tr");
  const eventCell = element("td", null, { className: "what" },
    element("span", null, { className: "sign", "aria-hidden": true }), record.event);
  eventCell.dataset.severity = record.severity;
  if (["warning", "critical"].includes(record.severity)) {
    eventCell.append(element("span", ` (${record.severity})`, { className: "hidden" }));
  }
  row.append(
    element("td", time(record.event_time), { className: "time" }), eventCell,
    element("td", null, { className: "details" }, element("strong", record.subject), record.text ? ` ${record.text}` : ""),
    element("td", after, { className: "number after" }),
    element("td", null, { className: "proof" }, evidenceButton(record, `${record.source} #${record.seq}`),
      element("code", short(record.hash), { title: record.hash })),
  );
  return row;
}

export function evidenceButton(record, text) {
  const button = element("button", text, { type: "button", className: "plain" });
  button.setAttribute("aria-label", `Evidence: ${text}, ${record.event} ${record.subject}`);
  button.addEventListener("click", () => open(record));
  return button;
}

// ---- the steps of a fault --------------------------------------------------------------------------

export function steps(fault) {
  const applied = fault.applied && seconds(fault.applied.event_time);
  const effect = fault.effect && seconds(fault.effect.event_time);
  const ended = fault.ended && seconds(fault.ended.event_time);
  const since = (record, from) => (record && from ? Math.max(0, seconds(record.event_time) - from) : null);
  const first = fault.detection;
  return [
    step("injection", "Injection", fault.applied ?? fault.asked, null, "", fault.applied ? "not played" : "asked for, not applied yet"),
    step("effect", "Effect", fault.effect, since(fault.effect, applied), "after injection", fault.effect?.text ?? "not seen yet"),
    step(first?.severity ?? "none", "First alert", first?.fired, since(first?.fired, effect), "after the effect",
      first ? `${first.rule} ${first.subject}` : "none yet"),
    step("recovery", "Recovery", fault.recovered, since(fault.recovered, ended), "after the end of the fault",
      fault.recovered ? "verified" : fault.ended ? "fault ended, not verified yet" : "the fault is on"),
  ];

  function step(kind, name, record, value, unit, text) {
    const item = element("li", null, { className: `step ${record ? kind : "open"}` }, element("span", name, { className: "caption" }));
    const figureText = value === null ? (record ? time(record.event_time) : "–") : `+${duration(value)}`;
    item.append(element("span", figureText, { className: "figure" }));
    const note = kind === "injection" && record ? `${fault.kind || "fault"}, ${fault.target || record.source}` : text;
    item.append(element("span", value === null ? note : `${unit}: ${note}`, { className: "small quiet" }));
    if (record) item.append(evidenceButton(record, `${record.source} #${record.seq}`));
    return item;
  }
}
