// The evidence of a record: its journal entry, whose hash is recomputed in the browser.
import { $, setText } from "/shared/dom.js";
import { idOf, moment } from "/static/format.js";

let records = [];
// The record whose evidence is open, and the number of the latest request: answers to older ones are
// ignored.
let openRecord = null;
let latestRequest = 0;
// The element that opened the evidence, to which focus returns. A drawing may have replaced it since.
let opener = null;

export function setRecords(newRecords) {
  records = newRecords;
  if (openRecord) updateButtons();
}

export async function open(record) {
  const request = ++latestRequest;
  openRecord = record;
  setText($("evidence-title"), `${record.subject}: ${record.event}`);
  setText($("evidence-text"), record.text);
  setText($("evidence-journal"), `${record.source}, entry ${record.seq}`);
  for (const id of ["time", "line", "previous", "body", "hash"]) setText($(`evidence-${id}`), "…");
  result("evidence-result", "", "Reading the entry…");
  $("evidence-json").href = `/api/v1/evidence/${idOf(record)}`;
  updateButtons();
  if (!$("evidence").open) {
    opener = document.activeElement;
    $("evidence").showModal();
  }
  try {
    const response = await fetch(`/api/v1/evidence/${idOf(record)}`);
    const entry = await response.json();
    if (request !== latestRequest) return;
    if (!response.ok) throw new Error(entry.detail ?? `status ${response.status}`);
    setText($("evidence-time"), moment(entry.time));
    setText($("evidence-line"), entry.line ? `line ${entry.line}` : "not in the ledger yet");
    setText($("evidence-previous"), entry.previous);
    setText($("evidence-body"), entry.body);
    setText($("evidence-hash"), entry.hash);
    const computed = await chainHash(entry.previous, entry.body);
    if (request !== latestRequest) return;
    if (computed === null) result("evidence-result", "", NO_CRYPTO);
    else if (computed === entry.hash && entry.hash === record.hash) {
      result("evidence-result", "good", "✓ Recomputed in this browser: SHA-256 of both matches.");
    } else {
      result("evidence-result", "bad", `✗ Does not match: this browser computes ${computed}.`);
    }
  } catch (error) {
    if (request === latestRequest) result("evidence-result", "bad", `✗ ${error.message}`);
  }
}

// Recomputes the hash chain of the whole ledger, line by line.
export async function verifyLedger() {
  result("ledger-result", "", "Reading the ledger…");
  try {
    const response = await fetch("/api/v1/ledger");
    const lines = (await response.text()).split("\n").filter(Boolean);
    if (!response.ok) throw new Error(`status ${response.status}`);
    if (!crypto.subtle) { result("ledger-result", "", NO_CRYPTO); return; }
    const first = Number(response.headers.get("X-First"));
    let head = first === 1 ? "0".repeat(64) : null;
    for (const [index, line] of lines.entries()) {
      const [lineHash, body] = [line.slice(9, 73), line.slice(83, -1)];
      const computed = head === null ? lineHash : await chainHash(head, body);
      if (computed !== lineHash || !body.startsWith(`[${first + index},`)) {
        result("ledger-result", "bad", `✗ The chain breaks at line ${first + index}.`);
        return;
      }
      head = lineHash;
    }
    const endsInHead = lines.length ? response.headers.get("X-Head") === head : true;
    if (endsInHead) {
      const from = first === 1 ? "" : `, from line ${first} on`;
      const count = `${lines.length} line${lines.length === 1 ? "" : "s"}`;
      result("ledger-result", "good", `✓ ${count} recomputed in this browser${from}: the chain holds.`);
    } else result("ledger-result", "bad", "✗ The chain does not end in the head.");
  } catch (error) {
    result("ledger-result", "bad", `✗ ${error.message}`);
  }
}

const NO_CRYPTO = "This browser computes hashes only for pages from https or this machine.";

// Returns the SHA-256 of the previous hash's 32 bytes and the body, in hex; null where the browser
// offers no cryptography.
async function chainHash(previous, body) {
  if (!crypto.subtle) return null;
  const previousBytes = Uint8Array.from(previous.match(/../g), (byte) => parseInt(byte, 16));
  const text = new TextEncoder().encode(body);
  const bytes = new Uint8Array(previousBytes.length + text.length);
  bytes.set(previousBytes);
  bytes.set(text, previousBytes.length);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function result(id, state, text) {
  $(id).dataset.state = state;
  setText($(id), text);
}

function openIndex() {
  return records.findIndex((record) => idOf(record) === idOf(openRecord));
}

function updateButtons() {
  const index = openIndex();
  $("evidence-back").disabled = index <= 0;
  $("evidence-next").disabled = index < 0 || index >= records.length - 1;
}

$("evidence-back").addEventListener("click", () => open(records[openIndex() - 1]));
$("evidence-next").addEventListener("click", () => open(records[openIndex() + 1]));
$("evidence-close").addEventListener("click", () => $("evidence").close());
$("evidence").addEventListener("close", () => {
  openRecord = null;
  latestRequest += 1;
  const key = opener?.getAttribute("data-key");
  if (key && !opener.isConnected) document.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
});
$("evidence").addEventListener("click", (event) => {
  if (event.target === $("evidence")) $("evidence").close();
});
