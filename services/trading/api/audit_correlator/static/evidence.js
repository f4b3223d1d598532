// The evidence of a record: its journal entry, and its hash computed once more, here.
import { $, idOf, moment, setText } from "/static/dom.js";

let records = [];
let shown = null;
let asked = 0;

export function takeRecords(found) {
  records = found;
  if (shown) step();
}

export async function open(record) {
  const mine = ++asked;
  shown = record;
  setText($("evidence-title"), `${record.subject}: ${record.event}`);
  setText($("evidence-text"), record.text);
  setText($("evidence-journal"), `${record.source}, entry ${record.seq}`);
  for (const id of ["time", "line", "previous", "body", "hash"]) setText($(`evidence-${id}`), "…");
  result("evidence-result", "", "Reading the entry…");
  $("evidence-json").href = `/api/v1/evidence/${idOf(record)}`;
  step();
  if (!$("evidence").open) $("evidence").showModal();
  try {
    const answer = await fetch(`/api/v1/evidence/${idOf(record)}`);
    const found = await answer.json();
    if (mine !== asked) return;
    if (!answer.ok) throw new Error(found.detail ?? `status ${answer.status}`);
    setText($("evidence-time"), moment(found.time));
    setText($("evidence-line"), found.line ? `line ${found.line}` : "not in the ledger yet");
    setText($("evidence-previous"), found.previous);
    setText($("evidence-body"), found.body);
    setText($("evidence-hash"), found.hash);
    const computed = await chained(found.previous, found.body);
    if (mine !== asked) return;
    if (computed === null) result("evidence-result", "", NO_CRYPTO);
    else if (computed === found.hash && found.hash === record.hash) {
      result("evidence-result", "good", "✓ Recomputed in this browser: SHA-256 of both matches.");
    } else {
      result("evidence-result", "bad", `✗ Does not match: this browser computes ${computed}.`);
    }
  } catch (error) {
    if (mine === asked) result("evidence-result", "bad", `✗ ${error.message}`);
  }
}

// The whole ledger, line by line.
export async function verifyLedger() {
  result("ledger-result", "", "Reading the ledger…");
  try {
    const answer = await fetch("/api/v1/ledger");
    const lines = (await answer.text()).split("\n").filter(Boolean);
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    if (!crypto.subtle) { result("ledger-result", "", NO_CRYPTO); return; }
    const first = Number(answer.headers.get("X-First"));
    let head = first === 1 ? "0".repeat(64) : null;
    for (const [index, line] of lines.entries()) {
      const [given, body] = [line.slice(9, 73), line.slice(83, -1)];
      const computed = head === null ? given : await chained(head, body);
      if (computed !== given || !body.startsWith(`[${first + index},`)) {
        result("ledger-result", "bad", `✗ The chain breaks at line ${first + index}.`);
        return;
      }
      head = given;
    }
    const whole = lines.length ? answer.headers.get("X-Head") === head : true;
    if (whole) {
      const from = first === 1 ? "" : `, from line ${first} on`;
      const count = `${lines.length} line${lines.length === 1 ? "" : "s"}`;
      result("ledger-result", "good", `✓ ${count} recomputed in this browser${from}: the chain holds.`);
    } else result("ledger-result", "bad", "✗ The chain does not end in the head.");
  } catch (error) {
    result("ledger-result", "bad", `✗ ${error.message}`);
  }
}

const NO_CRYPTO = "This browser computes hashes only for pages from https or this machine.";

// SHA-256 of the previous hash's 32 bytes and the body, in hex; null where it cannot be computed.
async function chained(previous, body) {
  if (!crypto.subtle) return null;
  const before = Uint8Array.from(previous.match(/../g), (byte) => parseInt(byte, 16));
  const text = new TextEncoder().encode(body);
  const bytes = new Uint8Array(before.length + text.length);
  bytes.set(before);
  bytes.set(text, before.length);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function result(id, state, text) {
  $(id).dataset.state = state;
  setText($(id), text);
}

function at() {
  return records.findIndex((record) => idOf(record) === idOf(shown));
}

function step() {
  const index = at();
  $("evidence-back").disabled = index <= 0;
  $("evidence-next").disabled = index < 0 || index >= records.length - 1;
}

$("evidence-back").addEventListener("click", () => open(records[at() - 1]));
$("evidence-next").addEventListener("click", () => open(records[at() + 1]));
$("evidence-close").addEventListener("click", () => $("evidence").close());
$("evidence").addEventListener("close", () => { shown = null; asked += 1; });
$("evidence").addEventListener("click", (event) => {
  if (event.target === $("evidence")) $("evidence").close();
});
