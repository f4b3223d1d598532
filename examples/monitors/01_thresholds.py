"""A risk monitor with plain thresholds: drawdown, peg, rate of orders, silent exchange.

    trading run market-crash --monitor 'desk=exec:python3 examples/monitors/01_thresholds.py'

It reads events from standard input and answers on standard output; it needs nothing but Python.
"""

import json
import sys
from collections import defaultdict, deque

MAX_DRAWDOWN = 0.02
MAX_PEG_DEVIATION = 0.005
MAX_ORDERS = 45  # of one account in ten seconds
MAX_SILENCE = 3  # ticks of the market since the exchange last answered a heartbeat

prices: dict[str, float] = {}
pegs: dict[str, float] = {}
balances: dict[str, dict[str, float]] = {}
orders: defaultdict[str, deque[int]] = defaultdict(deque)
firing: set[tuple[str, str]] = set()
peak = 0.0
answered_at = tick = 0


def check(name: str, subject: str, wrong: bool, observed: str) -> None:
    """Raise an alert when something becomes wrong, and resolve it when it is right again."""
    if wrong and (name, subject) not in firing:
        firing.add((name, subject))
        print(json.dumps({"alert": name, "labels": {"subject": subject}, "observed": observed}))
    elif not wrong and (name, subject) in firing:
        firing.discard((name, subject))
        print(json.dumps({"resolve": name, "labels": {"subject": subject}}))


for text in sys.stdin:
    line = json.loads(text)
    kind = line.get("event")
    if kind == "start":
        pegs = {asset: float(peg) for asset, peg in line["pegs"].items()}
        answered_at, tick = line["time"], line["tick"]
    elif kind == "price" and line["price"] is not None:
        prices[line["asset"]] = float(line["price"])
    elif kind == "account":
        held = {b["asset"]: float(b["free"]) + float(b["locked"]) for b in line["balances"]}
        balances[line["account"]] = held
    elif kind == "execution" and line["execution_type"] == "NEW":
        orders[line["account"]].append(line["time"])
    elif kind == "pong" and line["service"] == "exchange":
        answered_at = line["time"]
    elif "now" in line:  # everything of this instant has been read
        now = line["now"]
        equity = sum(q * prices.get(a, 0.0) for held in balances.values() for a, q in held.items())
        peak = max(peak, equity)
        drawdown = 1 - equity / peak if peak else 0.0
        check("drawdown", "portfolio", drawdown > MAX_DRAWDOWN, f"{drawdown:.2%}")
        for asset, peg in pegs.items():
            off = prices.get(asset, peg) / peg - 1
            check("peg-deviation", asset, abs(off) > MAX_PEG_DEVIATION, f"{off:+.2%}")
        for account, times in orders.items():
            while times and times[0] <= now - 10_000_000:
                times.popleft()
            check("runaway-orders", account, len(times) > MAX_ORDERS, f"{len(times)} in 10 s")
        silence = now - answered_at
        check(
            "venue-down",
            "exchange",
            silence > MAX_SILENCE * tick,
            f"silent for {silence / 1e6:.1f} s",
        )
        print(json.dumps({"done": now}), flush=True)
