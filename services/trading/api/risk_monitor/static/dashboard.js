// The dashboard: one stream of snapshots in, buttons out. Texts are set as text, never as HTML.
import uPlot from "/static/uplot-1.6.32/uPlot.esm.js";

const $ = (id) => document.getElementById(id);
const MAX_POINTS = 1200;

let session = null;
let announced = new Set();
let pnlChart, priceChart;
let pnl = [[], []];
let prices = { times: [], byAsset: new Map() };

const element = (tag, text, properties = {}) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-")) made.setAttribute(name, value); else made[name] = value;
  }
  return made;
};

const money = (text) =>
  Number(text).toLocaleString("en-US", { maximumFractionDigits: 0, signDisplay: "auto" });

// Plain amounts of USD get separators; ratios are readable as they are.
const readable = (text) => (/^-?[0-9.]+$/.test(text) ? money(text) : text);

// ---- figures -----------------------------------------------------------------------------------

function showPortfolio(portfolio) {
  if (!portfolio.known) {
    for (const id of ["pnl", "equity", "drawdown", "gross", "var"]) $(id).textContent = "–";
    return;
  }
  $("clock").textContent = `${portfolio.time.replace("T", " ").slice(0, 19)} simulated`;
  const value = Number(portfolio.pnl);
  $("pnl").textContent = (value > 0 ? "+" : "") + money(portfolio.pnl);
  $("pnl").className = `figure ${value > 0 ? "up" : value < 0 ? "down" : ""}`;
  $("equity").textContent = money(portfolio.equity);
  $("drawdown").textContent = portfolio.drawdown;
  $("gross").textContent = money(portfolio.gross);
  $("var").textContent = money(portfolio.var);
  showPositions(portfolio.positions);
  document.title = `${(value > 0 ? "+" : "") + money(portfolio.pnl)} · ${portfolio.breaker} · Risk`;
}

function showPositions(positions) {
  const assets = [...new Set(positions.map((p) => p.asset))];
  const accounts = [...new Set(positions.map((p) => p.account))];
  const quantity = new Map(positions.map((p) => [`${p.account}/${p.asset}`, p.qty]));
  const head = element("tr");
  head.append(element("th", "Account", { scope: "col" }));
  for (const asset of assets) head.append(element("th", asset, { scope: "col" }));
  $("positions-head").replaceChildren(head);
  $("positions").replaceChildren(...accounts.map((account) => {
    const row = element("tr");
    row.append(element("th", account, { scope: "row" }));
    for (const asset of assets) {
      const qty = quantity.get(`${account}/${asset}`);
      const digits = { maximumFractionDigits: 4 };
      row.append(element("td", qty ? Number(qty).toLocaleString("en-US", digits) : ""));
    }
    return row;
  }));
}

function showBreaker(breaker) {
  $("breaker").textContent = breaker.state;
  $("breaker").dataset.state = breaker.state;
  const last = breaker.changes[0];
  $("breaker-reason").textContent = last ? `${last.reason} (${last.time.slice(11, 19)})` : "";
}

function showExposures(rows) {
  $("exposures").replaceChildren(...rows.map((row) => {
    const name = row.subject === "portfolio" ? row.rule : `${row.rule} ${row.subject}`;
    const item = element("li");
    const used = row.used_percent ?? 0;
    item.append(
      element("span", name),
      element("span", `${readable(row.value)} of ${readable(row.limit)}`, { className: "quiet" }),
      element("meter", `${used} %`, {
        min: 0, max: 100, low: 60, high: 85, optimum: 0, value: Math.min(used, 100),
        "aria-label": `${name}: ${used} % of the limit`,
      }),
    );
    return item;
  }));
}

function showHealth(health) {
  const rows = [...health.venues, ...health.feeds];
  $("health").replaceChildren(...rows.map((row) => {
    const said = row.ok ? "well" : "not well";
    return element("li", `${row.name} `, {
      className: row.ok ? "" : "bad", title: `last heard of ${row.age} ago`,
      "aria-label": `${row.name}: ${said}, last heard of ${row.age} ago`,
    });
  }));
}

// ---- alerts ------------------------------------------------------------------------------------

function showAlerts(alerts) {
  const open = alerts.filter((a) => a.state !== "resolved");
  const focused = document.activeElement?.dataset?.alert;
  $("alert-count").textContent = open.length;
  $("alert-count").className = `count ${open.length ? "some" : ""}`;
  $("no-alerts").hidden = alerts.length > 0;
  $("alerts").replaceChildren(...alerts.map(alertRow));
  if (focused) {
    document.querySelector(`button[data-alert="${CSS.escape(focused)}"]`)?.focus();
  }
  const fresh = open.filter((a) => a.state === "firing" && !announced.has(a.alert_id));
  if (fresh.length) {
    $("announce").textContent = fresh.map((a) => `${a.severity}: ${a.rule} on ${a.subject}`).join("; ");
    for (const alert of fresh) announced.add(alert.alert_id);
  }
}

function alertRow(alert) {
  const row = element("tr");
  row.dataset.state = alert.state;
  const rule = element("td", alert.rule, { className: "severity" });
  rule.dataset.severity = alert.severity;
  rule.append(element("span", ` (${alert.severity})`, { className: "hidden" }));
  const by = alert.acknowledged_by ? ` by ${alert.acknowledged_by}` : "";
  row.append(
    rule, element("td", alert.subject), element("td", alert.observed), element("td", alert.limit),
    element("td", `${alert.detected_time.slice(11, 19)}, after ${alert.latency}`),
    element("td", alert.state === "acknowledged" ? alert.state + by : alert.state),
  );
  const action = element("td");
  if (alert.state === "firing") {
    const button = element("button", "Acknowledge", {
      type: "button", "aria-label": `Acknowledge ${alert.rule} on ${alert.subject}`,
    });
    button.dataset.alert = alert.alert_id;
    button.addEventListener("click", () => acknowledge(alert.alert_id));
    action.append(button);
  }
  row.append(action);
  return row;
}

// ---- curves ------------------------------------------------------------------------------------

const COLOURS = ["#6aa9ff", "#3ecf8e", "#f2b84b", "#ff6b6b", "#c08bff", "#59d0d8"];

function axis() {
  const style = getComputedStyle(document.documentElement);
  const line = style.getPropertyValue("--line").trim();
  return { stroke: style.getPropertyValue("--quiet").trim(), grid: { stroke: line }, ticks: { stroke: line } };
}

function chart(into, series, data, values) {
  const holder = $(into);
  holder.replaceChildren();
  const size = () => ({ width: Math.max(holder.clientWidth, 200), height: 200 });
  const times = [[3600, "{HH}:{mm}", null, null, "\n{YYYY}-{MM}-{DD}", null, null, null, 1],
    [60, "{HH}:{mm}", null, null, "\n{YYYY}-{MM}-{DD}", null, null, null, 1],
    [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1]];
  const made = new uPlot({
    legend: { show: series.length > 1, live: false },
    ...size(), series: [{ label: "time" }, ...series], tzDate: (s) => uPlot.tzDate(new Date(s * 1e3), "UTC"),
    axes: [{ ...axis(), values: times }, { ...axis(), size: 80, values }],
  }, data, holder);
  new ResizeObserver(() => made.setSize(size())).observe(holder);
  return made;
}

function draw() {
  const stroke = COLOURS[0];
  pnlChart = chart("pnl-chart", [{ label: "P&L", stroke, fill: `${stroke}22`, width: 2 }], pnl);
  const names = [...prices.byAsset.keys()];
  const series = names.map((label, i) => ({ label, stroke: COLOURS[i % COLOURS.length], width: 1.5 }));
  const percent = (_, ticks) => ticks.map((v) => `${v.toFixed(2)} %`);
  priceChart = chart("price-chart", series, priceData(), percent);
}

function priceData() {
  const relative = [...prices.byAsset.values()].map((values) => {
    const first = values.find((v) => v) ?? 1;
    return values.map((v) => (v === null ? null : (v / first - 1) * 100));
  });
  return [prices.times, ...relative];
}

async function loadCurves() {
  const curves = await (await fetch("/api/curves")).json();
  pnl = [curves.pnl.map((p) => p[0]), curves.pnl.map((p) => p[1])];
  const names = Object.keys(curves.prices);
  prices = { times: names.length ? curves.prices[names[0]].map((p) => p[0]) : [], byAsset: new Map() };
  for (const name of names) prices.byAsset.set(name, curves.prices[name].map((p) => p[1]));
  draw();
}

function extendCurves(portfolio) {
  if (!portfolio.known || !pnlChart) return;
  const at = Date.parse(portfolio.time) / 1e3;
  if (pnl[0].length && at <= pnl[0].at(-1)) return;
  const names = Object.keys(portfolio.marks);
  if (prices.byAsset.size !== names.length) { loadCurves(); return; }
  pnl[0].push(at); pnl[1].push(Number(portfolio.pnl));
  prices.times.push(at);
  for (const name of names) prices.byAsset.get(name).push(Number(portfolio.marks[name]));
  if (pnl[0].length > 2 * MAX_POINTS) { loadCurves(); return; }
  pnlChart.setData(pnl);
  priceChart.setData(priceData());
}

// ---- actions -----------------------------------------------------------------------------------

const token = () => sessionStorage.getItem("operator-token") ?? "";
const operator = () => localStorage.getItem("operator") ?? "";

async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  if (token()) headers.Authorization = `Bearer ${token()}`;
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (answer.ok) return;
  if (answer.status === 401) throw Object.assign(new Error("The operator token is needed."), { token: true });
  const said = await answer.json().catch(() => ({}));
  throw new Error(typeof said.detail === "string" ? said.detail : `failed with ${answer.status}`);
}

// Asks for what is missing, does it, and stays open with the reason if it fails.
function ask(title, { reason = false, state = false }, act) {
  $("act-title").textContent = title;
  $("act-reason-row").hidden = !reason;
  $("act-state-row").hidden = !state;
  $("act-reason").required = reason;
  $("act-by").required = true;
  $("act-by").value = operator();
  $("act-error").textContent = "";
  const dialog = $("act");
  $("act-go").onclick = async (event) => {
    event.preventDefault();
    if (!dialog.querySelector("form").reportValidity()) return;
    localStorage.setItem("operator", $("act-by").value);
    if ($("act-token").value) sessionStorage.setItem("operator-token", $("act-token").value);
    try {
      await act({ by: $("act-by").value, reason: $("act-reason").value, state: $("act-state").value });
      $("act-reason").value = "";
      dialog.close();
    } catch (error) {
      $("act-error").textContent = error.message;
      if (error.token) { $("act-token-row").hidden = false; $("act-token").focus(); }
    }
  };
  dialog.showModal();
  (reason ? $("act-reason") : $("act-by")).focus();
}

$("act-cancel").addEventListener("click", () => $("act").close());

async function acknowledge(id) {
  const path = `/api/alerts/${id.split("/").map(encodeURIComponent).join("/")}/acknowledge`;
  const act = ({ by }) => post(path, { by });
  if (!operator()) { ask("Acknowledge the alert", {}, act); return; }
  try { await act({ by: operator() }); } catch { ask("Acknowledge the alert", {}, act); }
}

$("trip").addEventListener("click", () =>
  ask("Trip the circuit breaker", { reason: true, state: true },
    ({ by, reason, state }) => post("/api/breaker/trip", { by, reason, state })));
$("reset").addEventListener("click", () =>
  ask("Reset the circuit breaker", { reason: true },
    ({ by, reason }) => post("/api/breaker/reset", { by, reason })));

// ---- the stream --------------------------------------------------------------------------------

function connection(state, text) {
  $("connection").dataset.state = state;
  $("connection").textContent = text;
}

function show(snapshot) {
  if (snapshot.session !== session) {
    session = snapshot.session;
    announced = new Set();
    loadCurves();
  }
  showPortfolio(snapshot.portfolio);
  showBreaker(snapshot.breaker);
  showAlerts(snapshot.alerts);
  showExposures(snapshot.exposures);
  showHealth(snapshot.health);
  extendCurves(snapshot.portfolio);
  const speed = snapshot.speed === 1 ? "" : `, ${snapshot.speed}× time`;
  connection("live", `live${speed}`);
}

function connect() {
  const stream = new EventSource("/events");
  stream.onmessage = (event) => show(JSON.parse(event.data));
  stream.onerror = () => {
    connection("lost", "connection lost, trying again");
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, 1000);
  };
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
connect();
