"""A risk monitor with plain thresholds: drawdown, peg, fast moves, too many orders, silent venue.

    trading run market-crash --monitor 'desk=exec:python3 examples/monitors/01_thresholds.py'

It reads events from standard input and answers on standard output; it needs nothing but Python.
"""

import json
import sys
from collections import defaultdict, deque

SECOND = 1_000_000

prices: dict[str, float] = {}
history: defaultdict[str, deque[tuple[int, float]]] = defaultdict(deque)
balances: dict[str, dict[str, float]] = {}
accepted: defaultdict[str, deque[int]] = defaultdict(deque)
requests: defaultdict[str, deque[int]] = defaultdict(deque)
firing: set[tuple[str, str]] = set()
pegs: dict[str, float] = {}
peak, answered_at, tick = 0.0, 0, 0


def check(name: str, subject: str, value: float, limit: float) -> None:
    """Raise an alert if a value exceeds its limit, and resolve it when it no longer does."""
    key, wrong = (name, subject), value > limit
    if wrong != (key in firing):
        firing.symmetric_difference_update([key])
        answer = {"alert" if wrong else "resolve": name, "labels": {"subject": subject}}
        print(json.dumps({**answer, "observed": f"{value:.4g}, limit {limit:g}"}))


def recent(times: deque[int], now: int, window: int) -> int:
    """Return how many of these times are within the window, and drop the others."""
    while times and times[0] <= now - window:
        times.popleft()
    return len(times)


print(json.dumps({"events": ["price", "account", "execution", "pong"]}))
for text in sys.stdin:
    line = json.loads(text)
    kind = line.get("event")
    if kind == "start":
        pegs = {asset: float(peg) for asset, peg in line["pegs"].items()}
        answered_at, tick = line["time"], line["tick"]
    elif kind == "price" and line["price"] is not None:
        asset, price, past = line["asset"], float(line["price"]), history[line["asset"]]
        prices[asset] = price
        past.append((line["time"], price))
        while past[0][0] < line["time"] - 300 * SECOND:
            past.popleft()
        check("price-move", asset, abs(price / past[0][1] - 1), 0.05)
        if asset in pegs:
            check("peg-deviation", asset, abs(price / pegs[asset] - 1), 0.005)
    elif kind == "account":
        funds = {b["asset"]: float(b["free"]) + float(b["locked"]) for b in line["balances"]}
        balances[line["account"]] = funds
    elif kind == "execution" and line["execution_type"] != "TRADE":
        requests[line["account"]].append(line["time"])
        if line["execution_type"] == "NEW":
            accepted[line["account"]].append(line["time"])
    elif kind == "pong" and line["service"] == "exchange":
        answered_at = line["time"]
    elif "now" in line:  # everything of this instant has been read
        now = line["now"]
        equity = sum(q * prices.get(a, 0) for funds in balances.values() for a, q in funds.items())
        peak = max(peak, equity)
        check("drawdown", "portfolio", 1 - equity / peak if peak else 0, 0.02)
        for account in requests:
            check("runaway-orders", account, recent(accepted[account], now, 10 * SECOND), 45)
            check("order-rate", account, recent(requests[account], now, 5 * SECOND) / 5, 40)
        check("venue-down", "exchange", (now - answered_at) / tick, max(3, 4 * SECOND / tick))
        print(json.dumps({"done": now}), flush=True)
