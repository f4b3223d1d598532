// The operator's actions. One dialog asks for the inputs that are missing, sends the request, and
// stays open with the error if it fails.
import { $, element } from "/shared/dom.js";

const token = () => sessionStorage.getItem("operator-token") ?? "";
export const operator = () => localStorage.getItem("operator") ?? "";

export async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  if (token()) headers.Authorization = `Bearer ${token()}`;
  let response;
  try {
    response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  } catch {
    throw new Error("The risk monitor did not answer. It may have been done all the same: look at"
      + " the state here before you try again.");
  }
  if (response.ok) return;
  if (response.status === 401) {
    const hadToken = Boolean(token());
    sessionStorage.removeItem("operator-token");
    throw Object.assign(new Error(hadToken
      ? "That token is not accepted. It is RISK_TOKEN, or risk_token in credentials.json."
      : "The operator token is needed: RISK_TOKEN, or risk_token in credentials.json. The link"
        + " that trading login prints makes it unnecessary."),
    { token: true });
  }
  const problem = await response.json().catch(() => ({}));
  throw new Error(typeof problem.detail === "string" ? `Refused: ${problem.detail}.`
    : `It failed with status ${response.status}. Try again, or see the risk monitor's log.`);
}

// Opens the dialog. `parts` are the inputs besides the operator's name, `values` their initial
// values; `act` is called with all of them.
export function openDialog({ title, text = "", go, parts = [], values = {}, error = null }, act) {
  const dialog = $("act");
  const opener = document.activeElement;
  $("act-title").textContent = title;
  $("act-text").textContent = text;
  $("act-go").textContent = go;
  for (const row of dialog.querySelectorAll("[data-part]")) {
    row.hidden = !parts.includes(row.dataset.part);
  }
  for (const [name, value] of Object.entries(values)) $(`act-${name}`).value = value;
  $("act-reason").required = parts.includes("reason");
  $("act-subject").required = parts.includes("subject");
  $("act-by").value = operator();
  showError(error);
  $("act-go").onclick = async (event) => {
    event.preventDefault();
    if (!dialog.querySelector("form").reportValidity()) return;
    localStorage.setItem("operator", $("act-by").value);
    if ($("act-token").value) sessionStorage.setItem("operator-token", $("act-token").value);
    $("act-go").disabled = true;
    $("act-error").textContent = "";
    try {
      await act(readForm());
      $("act-reason").value = "";
      $("act-token").value = "";
      $("act-token-row").hidden = true;
      dialog.close();
      if (!opener?.isConnected || opener.hidden) $("alerts-title").focus();
    } catch (problem) {
      showError(problem);
    } finally {
      $("act-go").disabled = false;
    }
  };
  dialog.showModal();
  if (error?.token) $("act-token").focus();
  else (parts.length ? $(`act-${parts.at(-1)}`) : $("act-by")).focus();
}

const readForm = () => ({
  by: $("act-by").value,
  reason: $("act-reason").value,
  state: $("act-state").value,
  rule: $("act-rule").value,
  subject: $("act-subject").value,
  seconds: Number($("act-seconds").value),
});

function showError(problem) {
  $("act-error").textContent = problem?.message ?? "";
  if (problem?.token) {
    $("act-token-row").hidden = false;
    $("act-token").value = "";
    $("act-token").focus();
  }
}

$("act-cancel").addEventListener("click", () => $("act").close());

// Acts at once if the operator's name is known; opens the dialog if it is not, and after an error.
export async function actOrOpenDialog(options, act) {
  if (!operator()) { openDialog(options, act); return; }
  try {
    await act({ by: operator() });
  } catch (error) {
    openDialog({ ...options, error }, act);
  }
}

// ---- the breaker -------------------------------------------------------------------------------

$("trip").addEventListener("click", () => openDialog({
  title: "Trip the circuit breaker",
  text: "HALTED cancels all orders and engages every account's kill switch. REDUCING cancels all"
    + " orders once. Either stays until somebody resets it.",
  go: "Trip breaker",
  parts: ["state", "reason"],
}, ({ by, reason, state }) => post("/api/breaker/trip", { by, reason, state })));

$("reset").addEventListener("click", () => openDialog({
  title: "Reset the circuit breaker",
  text: "Every account may trade again, killed ones too. Drawdown and loss count from now.",
  go: "Reset breaker",
  parts: ["reason"],
}, ({ by, reason }) => post("/api/breaker/reset", { by, reason })));

// ---- silences ----------------------------------------------------------------------------------

let rules = null;

async function loadRules() {
  if (!rules) {
    const response = await fetch("/api/rules");
    if (!response.ok) throw new Error("The rules could not be read. Try again in a moment.");
    rules = (await response.json()).filter((rule) => rule.enabled);
    $("act-rule").replaceChildren(...rules.map((rule) => element("option", rule.name)));
  }
  return rules;
}

export async function openSilenceDialog(values = {}, subjects = []) {
  let error = null;
  try { await loadRules(); } catch (problem) { error = problem; }
  const options = [...new Set(["*", ...subjects])];
  $("act-subjects").replaceChildren(...options.map((value) => element("option", undefined, { value })));
  openDialog({
    title: "Silence a rule",
    text: "No new alert of the rule for a while; * is for all that it watches. What fires now goes"
      + " on firing, and the breaker still acts.",
    go: "Silence",
    parts: ["rule", "subject", "seconds"],
    values: { subject: "*", ...values },
    error,
  }, ({ by, rule, subject, seconds }) => post("/api/silences", { by, rule, subject, seconds }));
}
