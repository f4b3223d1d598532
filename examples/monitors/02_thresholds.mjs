// The monitor of 01_thresholds.py in JavaScript: Node.js, no packages.
//
//     trading run market-crash --monitor 'desk=exec:node examples/monitors/02_thresholds.mjs'

import { createInterface } from "node:readline";

const SECOND = 1_000_000; // times are in microseconds
const prices = new Map();
const history = new Map();
const balances = new Map();
const accepted = new Map();
const requests = new Map();
const firing = new Set();
let pegs = {};
let peak = 0;
let answeredAt = 0;
let tick = 0;

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

// Raises an alert if a value exceeds its limit, and resolves it when it no longer does.
function check(name, subject, value, limit) {
  const key = `${name} ${subject}`;
  if (value > limit === firing.has(key)) return;
  const labels = { subject };
  if (firing.delete(key)) return say({ resolve: name, labels });
  firing.add(key);
  say({ alert: name, labels, observed: `${value.toPrecision(4)}, limit ${limit}` });
}

function append(lists, key, value) {
  if (!lists.has(key)) lists.set(key, []);
  lists.get(key).push(value);
  return lists.get(key);
}

// Returns how many of these times are within the window, and drops the others.
function recent(times = [], now, window) {
  while (times.length && times[0] <= now - window) times.shift();
  return times.length;
}

function onPrice({ asset, price: text, time }) {
  const price = Number(text);
  prices.set(asset, price);
  const past = append(history, asset, { time, price });
  while (past[0].time < time - 300 * SECOND) past.shift();
  check("price-move", asset, Math.abs(price / past[0].price - 1), 0.05);
  if (asset in pegs) check("peg-deviation", asset, Math.abs(price / pegs[asset] - 1), 0.005);
}

function onStep(now) {
  let equity = 0;
  for (const funds of balances.values())
    for (const { asset, free, locked } of funds)
      equity += (Number(free) + Number(locked)) * (prices.get(asset) ?? 0);
  peak = Math.max(peak, equity);
  check("drawdown", "portfolio", peak ? 1 - equity / peak : 0, 0.02);
  for (const [account, times] of requests) {
    check("runaway-orders", account, recent(accepted.get(account), now, 10 * SECOND), 45);
    check("order-rate", account, recent(times, now, 5 * SECOND) / 5, 40);
  }
  check("venue-down", "exchange", (now - answeredAt) / tick, Math.max(3, (4 * SECOND) / tick));
  say({ done: now });
}

say({ events: ["price", "account", "execution", "pong"] });
for await (const text of createInterface({ input: process.stdin })) {
  const line = JSON.parse(text);
  if (line.event === "start") [pegs, answeredAt, tick] = [line.pegs, line.time, line.tick];
  else if (line.event === "price" && line.price !== null) onPrice(line);
  else if (line.event === "account") balances.set(line.account, line.balances);
  else if (line.event === "execution" && line.execution_type !== "TRADE") {
    append(requests, line.account, line.time);
    if (line.execution_type === "NEW") append(accepted, line.account, line.time);
  } else if (line.event === "pong" && line.service === "exchange") answeredAt = line.time;
  else if ("now" in line) onStep(line.now); // everything of this instant has been read
}
