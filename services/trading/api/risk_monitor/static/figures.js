// The figures: portfolio, breaker, exposures, accounts, venues and feeds.
import { $, element, reconcile, setAttribute, setText } from "/shared/dom.js";
import { duration, number, percent, price, readable, signed, time } from "/static/format.js";

const STATES = { ACTIVE: "✓", REDUCING: "▼", HALTED: "■" };
const STATUS_TEXTS = { within: "within", near: "near the limit", over: "over the limit",
  "over-hard": "over the hard limit" };
const SIGNS = { within: "✓", near: "▲", over: "✗", "over-hard": "✗✗" };

let opening = {};
let breakerReason;

// Sets the price of each asset when the session opened, from which changes are computed.
export function setOpening(prices) {
  opening = prices;
}

const showAmount = (node, value) => {
  setText(node, signed(value));
  node.className = `figure ${value > 0 ? "up" : value < 0 ? "down" : ""}`;
};

export function showPortfolio(portfolio, exposures) {
  $("waiting").hidden = portfolio.known;
  if (!portfolio.known) {
    for (const node of document.querySelectorAll(".figure")) setText(node, "–");
    return;
  }
  showAmount($("pnl"), Number(portfolio.pnl));
  showAmount($("day-pnl"), Number(portfolio.day_pnl));
  for (const name of ["equity", "gross", "var"]) setText($(name), number(portfolio[name]));
  setText($("drawdown"), portfolio.drawdown);
  showAccounts(portfolio, exposures.filter((row) => row.rule === "net-exposure"));
}

export function showBreaker(breaker) {
  const { state, changes } = breaker;
  for (const node of [$("breaker"), $("head-breaker")]) {
    setText(node, `${STATES[state]} ${state}`);
    node.dataset.state = state;
  }
  const last = changes[0];
  breakerReason = last?.reason;
  setText($("breaker-reason"), last ? `${readable(last.reason)}, at ${time(last.time)}`
    : "It has not tripped in this session.");
  setText($("change-count"), String(changes.length));
  reconcile($("changes"), changes, (change) => `${change.time} ${change.state}`,
    (change) => element("li", undefined, {}, element("b", time(change.time)),
      element("span", ` ${STATES[change.state]} ${change.state} `),
      element("span", readable(change.reason), { className: "quiet" })));
}

// ---- limits ------------------------------------------------------------------------------------

function makeBar() {
  return element("div", undefined, { className: "bar", role: "meter", "aria-valuemin": 0 },
    element("div", undefined, { className: "fill" }), element("i", undefined, { className: "soft" }),
    element("i", undefined, { className: "hard" }));
}

// The scale ends a little beyond the last limit, so that a figure that exceeds it is visible.
function updateBar(bar, row, name) {
  const used = row.used_percent ?? (Number.parseFloat(row.value) > 0 ? 999 : 0);
  const scale = row.hard_limit ? 225 : 125;
  const [fill, soft, hard] = bar.children;
  bar.dataset.status = row.status;
  fill.style.width = `${Math.min(100, (used / scale) * 100)}%`;
  soft.style.left = `${(100 / scale) * 100}%`;
  hard.style.left = `${(200 / scale) * 100}%`;
  hard.hidden = !row.hard_limit;
  setAttribute(bar, "aria-label", name);
  setAttribute(bar, "aria-valuemax", scale);
  setAttribute(bar, "aria-valuenow", Math.min(used, scale));
  setAttribute(bar, "aria-valuetext", `${used} % of the limit, ${STATUS_TEXTS[row.status]}`);
}

export function showExposures(rows) {
  const selected = rows.filter((row) => row.rule !== "net-exposure");
  $("no-exposures").hidden = selected.length > 0;
  const nameOf = (row) => (row.subject === "portfolio" ? row.rule : `${row.rule} ${row.subject}`);
  reconcile($("exposures"), selected, nameOf, (row) => {
    const name = element("span", nameOf(row), { className: "name" });
    return element("li", undefined, {}, name, element("span", "", { className: "quiet of" }),
      element("span", "", { className: "used" }), makeBar());
  }, (item, row) => {
    const [, of, used, bar] = item.children;
    setText(used, `${SIGNS[row.status]} ${row.used_percent ?? "–"} %`);
    used.dataset.status = row.status;
    const formatValue = (text) => (row.unit === "USD" ? number(text) : text);
    setText(of, `${formatValue(row.value)} of ${formatValue(row.limit)}`
      + (row.hard_limit ? ` / ${formatValue(row.hard_limit)} hard` : ""));
    updateBar(bar, row, nameOf(row));
  });
}

// ---- accounts ----------------------------------------------------------------------------------

const FIXED = ["Account", "Equity", "P&L", "Net bought", "Trading"];

function showAccounts(portfolio, limits) {
  $("no-accounts").hidden = true;
  const assets = Object.keys(portfolio.marks);
  const head = [...FIXED, ...assets];
  if ($("accounts-head").dataset.columns !== head.join()) {
    $("accounts-head").dataset.columns = head.join();
    $("accounts-head").replaceChildren(element("tr", undefined, {}, ...head.map((name, i) =>
      element("th", name, { scope: "col", className: i > 0 && i !== 4 ? "number" : "" }))));
    $("accounts").replaceChildren();
  }
  const quantities = new Map(portfolio.positions.map((p) => [`${p.account}/${p.asset}`, p.qty]));
  const limitOf = new Map(limits.map((row) => [row.subject, row]));
  reconcile($("accounts"), portfolio.accounts, (row) => row.account, (row) => {
    const name = element("th", undefined, { scope: "row" }, element("span", row.account),
      element("span", row.strategy, { className: "quiet small" }));
    const cells = ["equity", "pnl", "net"].map((kind) =>
      element("td", undefined, { className: `number ${kind}` }));
    cells[2].append(element("span"), makeBar());
    return element("tr", undefined, {}, name, ...cells,
      element("td", undefined, { className: "trading" }, element("span"),
        element("span", "", { className: "quiet small" })),
      ...assets.map(() => element("td", "", { className: "number" })));
  }, (node, row) => {
    const [, equity, pnl, net, trading, ...rest] = node.children;
    setText(equity, number(row.equity));
    setText(pnl, signed(row.pnl));
    pnl.className = `number pnl ${Number(row.pnl) > 0 ? "up" : Number(row.pnl) < 0 ? "down" : ""}`;
    setText(net.firstChild, signed(row.net));
    const limit = limitOf.get(row.account);
    net.lastChild.hidden = !limit;
    if (limit) updateBar(net.lastChild, limit, `Net exposure of ${row.account}`);
    node.dataset.killed = row.killed;
    const pending = row.confirmed ? "" : ", not confirmed";
    setText(trading.firstChild, (row.killed ? "■ killed" : "✓ on") + pending);
    const why = row.reason === breakerReason ? "with the breaker" : row.reason;
    setText(trading.lastChild, why ? readable(why) : "");
    assets.forEach((asset, i) => {
      const qty = quantities.get(`${row.account}/${asset}`);
      setText(rest[i], qty ? number(qty, Math.abs(qty) < 10000 ? 4 : 0) : "");
    });
  });
}

// ---- venues and feeds --------------------------------------------------------------------------

const ago = (seconds) => (seconds < 60 ? `${seconds.toFixed(1)} s` : duration(seconds));

export function showHealth(health, marks) {
  const rows = [...health.venues.map((row) => ({ ...row, venue: true })), ...health.feeds];
  reconcile($("health"), rows, (row) => row.name, (row) => element("tr", undefined, {},
    element("th", undefined, { scope: "row" }, element("span", "", { className: "sign", "aria-hidden": "true" }),
      element("span", ` ${row.name}`), element("span", "", { className: "hidden said" })),
    element("td", "", { className: "number" }), element("td", "", { className: "number" }),
    element("td", "", { className: "number heard" })), (node, row) => {
    const [name, last, change, ageCell] = node.children;
    node.dataset.ok = row.ok;
    setText(name.firstChild, row.ok ? "✓" : "✗");
    setText(name.lastChild, row.ok ? ", well" : ", not heard of");
    const mark = row.venue ? undefined : marks?.[row.name];
    setText(last, mark === undefined ? "" : price(mark));
    const from = opening[row.name];
    setText(change, mark === undefined || !from ? "" : percent(mark / from - 1));
    setText(ageCell, row.age_seconds === null ? "never" : ago(row.age_seconds));
  });
}
