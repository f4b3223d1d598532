"""Pre-trade controls on single orders and on the flow of orders, by execution reports.

The monitor does not see orders on their way to the exchange; it sees what the exchange reports of
them. Rates and repetitions are counted in sliding windows of event time.
"""

from collections import deque
from typing import Any, assert_never

import msgspec

from trading.messages.orders import ExecutionReport, ExecutionType
from trading.risk_monitor.alerts import AlertBook
from trading.risk_monitor.feeds import Feeds
from trading.risk_monitor.limits import describe
from trading.risk_monitor.rules import RULES, Controls
from trading.units import PPM, SCALE, SECOND, notional
from trading.universe import Universe

#: Lengths of the sliding windows, in simulated microseconds.
RATE_WINDOW = 5 * SECOND
DUPLICATE_WINDOW = SECOND
RUNAWAY_WINDOW = 10 * SECOND

#: Execution types that answer one message of a client each.
_MESSAGES = frozenset({ExecutionType.NEW, ExecutionType.CANCELED, ExecutionType.REJECTED})


class OrderFlow(msgspec.Struct, gc=False):
    """The recent orders of one account; times are event times in simulated microseconds.

    ``messages`` has the times of the client's messages. ``runaway`` has (time, step), where step is
    +1 for an accepted order and -1 for a cancelled one, and ``balance`` is the sum of
    the steps. ``alike`` has the times of identical orders by (symbol, side, quantity, price), and
    ``alike_since`` is when entries that are too old were last removed from it.
    """

    account: str
    messages: deque[int] = msgspec.field(default_factory=deque)
    runaway: deque[tuple[int, int]] = msgspec.field(default_factory=deque)
    balance: int = 0
    alike: dict[tuple[str, str, int, int], deque[int]] = {}
    alike_since: int = 0


class OrderControls:
    """Evaluates the pre-trade rules on the execution reports of the firm's accounts.

    ``feeds`` has the index prices to compare with. A report that is older than ``max_age``
    (simulated microseconds) is not compared with the present index price.
    """

    def __init__(
        self,
        universe: Universe,
        controls: Controls,
        alerts: AlertBook,
        feeds: Feeds,
        *,
        max_age: int,
    ) -> None:
        self._alerts = alerts
        self._feeds = feeds
        self._max_age = max_age
        self._instruments = {i.symbol: i for i in universe.instruments}
        self._rate_limit = controls.value("order-rate")
        self._collar_limit = controls.value("price-collar")
        self._value_limit = controls.limit("fat-finger")
        self._duplicate_limit = controls.value("duplicate-orders")
        self._runaway_limit = controls.value("runaway-orders")
        self._flows = {name: OrderFlow(name) for name in universe.firm_accounts}

    def on_report(self, report: ExecutionReport, now: int) -> None:
        """Evaluate the rules that a report of a firm account concerns."""
        flow = self._flows.get(report.account)
        if flow is None:
            return
        kind = report.execution_type
        if kind in _MESSAGES:
            self._judge_rate(flow, report, now)
        match kind:
            case ExecutionType.NEW:
                self._judge_order(report, now)
                self._judge_repetition(flow, report, now)
                self._judge_runaway(flow, 1, report, now)
            case ExecutionType.TRADE:
                self._judge_price(report, report.last_price, now)
            case ExecutionType.CANCELED:
                self._judge_runaway(flow, -1, report, now)
            case ExecutionType.REJECTED:
                if report.reason.startswith("DUPLICATE"):
                    self._judge_repetition(flow, report, now)
            case ExecutionType.EXPIRED | ExecutionType.TRADE_PREVENTION:
                pass
            case _:
                assert_never(kind)

    def evaluate(self, now: int) -> None:
        """Clear the conditions of accounts that have sent nothing in the last window."""
        if not self._alerts.active:
            return
        for account, flow in self._flows.items():
            if self._rate_limit is not None and not _within(flow.messages, now - RATE_WINDOW):
                self._alerts.clear("order-rate", account, now)
            if self._runaway_limit is not None and (
                not flow.runaway or flow.runaway[-1][0] < now - RUNAWAY_WINDOW
            ):
                self._alerts.clear("runaway-orders", account, now)

    def state(self) -> dict[str, Any]:
        """Return everything that decides later alerts, as plain values."""
        return {
            name: {
                "messages": list(flow.messages),
                "runaway": [list(step) for step in flow.runaway],
                "balance": flow.balance,
                "alike": {"/".join(map(str, k)): list(v) for k, v in flow.alike.items()},
            }
            for name, flow in self._flows.items()
        }

    def _judge_rate(self, flow: OrderFlow, report: ExecutionReport, now: int) -> None:
        times = flow.messages
        at = report.event_time
        times.append(at)
        oldest = at - RATE_WINDOW
        while times[0] <= oldest:
            times.popleft()
        limit = self._rate_limit
        if limit is not None:
            rate = -(-len(times) * SECOND // RATE_WINDOW)
            self._alerts.check("order-rate", flow.account, rate, limit, at, now)

    def _judge_order(self, report: ExecutionReport, now: int) -> None:
        if report.price:
            self._judge_price(report, report.price, now)
        limit = self._value_limit
        if limit is None:
            return
        instrument = self._instruments.get(report.symbol)
        if instrument is None:
            return
        reference = self._feeds.reference(instrument.base, instrument.quote)
        quoted = self._feeds.by_asset[instrument.quote].good
        price = max(report.price, reference)
        value = notional(price, report.qty) * quoted // SCALE
        if value > limit.capital(0):
            text = describe(limit.unit, value)
            self._alerts.notice("fat-finger", report.account, text, report.event_time, now)

    def _judge_price(self, report: ExecutionReport, price: int, now: int) -> None:
        """Evaluate the price collar, unless the report or the index price is too old."""
        limit = self._collar_limit
        instrument = self._instruments.get(report.symbol)
        if limit is None or instrument is None or now - report.event_time > self._max_age:
            return
        feeds = self._feeds
        if not (feeds.fresh(instrument.base, now) and feeds.fresh(instrument.quote, now)):
            return
        reference = feeds.reference(instrument.base, instrument.quote)
        if reference and abs(price - reference) * PPM > limit * reference:
            deviation = describe(
                RULES["price-collar"].unit, abs(price - reference) * PPM // reference
            )
            text = f"{report.symbol} {deviation} off"
            self._alerts.notice("price-collar", report.account, text, report.event_time, now)

    def _judge_repetition(self, flow: OrderFlow, report: ExecutionReport, now: int) -> None:
        limit = self._duplicate_limit
        if limit is None:
            return
        at = report.event_time
        if at - flow.alike_since > DUPLICATE_WINDOW:
            oldest = at - DUPLICATE_WINDOW
            flow.alike = {k: v for k, v in flow.alike.items() if v[-1] > oldest}
            flow.alike_since = at
        key = (report.symbol, report.side, report.qty, report.price)
        times = flow.alike.get(key)
        if times is None:
            times = flow.alike[key] = deque()
        times.append(at)
        while times[0] <= at - DUPLICATE_WINDOW:
            times.popleft()
        if len(times) > limit:
            text = f"{len(times)} within 1s: {report.side} {report.symbol}"
            self._alerts.notice("duplicate-orders", flow.account, text, times[0], now)

    def _judge_runaway(self, flow: OrderFlow, step: int, report: ExecutionReport, now: int) -> None:
        steps = flow.runaway
        at = report.event_time
        steps.append((at, step))
        flow.balance += step
        while steps[0][0] <= at - RUNAWAY_WINDOW:
            flow.balance -= steps.popleft()[1]
        limit = self._runaway_limit
        if limit is not None:
            check = self._alerts.check
            check("runaway-orders", flow.account, flow.balance, limit, at, now)


def _within(times: deque[int], oldest: int) -> bool:
    return bool(times) and times[-1] > oldest
