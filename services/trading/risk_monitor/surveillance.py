"""Market abuse by the firm's own accounts: wash trades and layering (2016/522 Annex II)."""

from collections import deque
from typing import Any

import msgspec

from trading.messages.orders import BUY, CLOSED_STATUSES, SELL, ExecutionReport, ExecutionType
from trading.risk_monitor.alerts import AlertBook
from trading.risk_monitor.rules import Controls
from trading.units import MINUTE, SECOND
from trading.universe import Universe

#: Wash trades are counted in this window.
WASH_WINDOW = MINUTE
#: Layering means that this percentage of the layers is cancelled within this time after the fill.
LAYER_PERCENT = 80
LAYER_WINDOW = 30 * SECOND


class Layers(msgspec.Struct, gc=False):
    """Orders that were open on one side of a symbol when the other side filled at ``filled_at``.

    ``count`` is their number at that time, and ``left`` has the ids of those that are still open.
    """

    symbol: str
    filled_at: int
    count: int
    left: dict[int, None]


class Trader(msgspec.Struct, gc=False):
    """The open orders and the suspicious trades of one account.

    ``open`` has the ids of open orders by (symbol, side), and ``open_count`` their number.
    ``washed`` has the event times of trades with an account of the firm, and ``layers`` the
    possible layers.
    """

    name: str
    open: dict[tuple[str, str], dict[int, None]] = {}
    open_count: int = 0
    washed: deque[int] = msgspec.field(default_factory=deque)
    layers: list[Layers] = []


class Surveillance:
    """Evaluates the surveillance rules on the execution reports of the firm's accounts."""

    def __init__(self, universe: Universe, controls: Controls, alerts: AlertBook) -> None:
        self._alerts = alerts
        self._wash_limit = controls.value("wash-trades")
        self._layering_limit = controls.value("layering")
        self._traders = {name: Trader(name) for name in universe.firm_accounts}
        self._last_fill: ExecutionReport | None = None

    def open_orders(self, account: str) -> int:
        """Return how many orders of an account are open, by its execution reports."""
        return self._traders[account].open_count

    def on_report(self, report: ExecutionReport, now: int) -> None:
        """Update the open orders of an account, and evaluate the rules."""
        trader = self._traders.get(report.account)
        if trader is None:
            return
        kind = report.execution_type
        if kind is ExecutionType.TRADE:
            self._judge_wash(trader, report, now)
            self._remember_layers(trader, report)
        if report.status in CLOSED_STATUSES:
            self._close(trader, report)
            if kind is ExecutionType.CANCELED and trader.layers:
                self._judge_layers(trader, report, now)
        elif kind is ExecutionType.NEW:
            orders = trader.open.setdefault((report.symbol, report.side), {})
            if report.order_id not in orders:
                orders[report.order_id] = None
                trader.open_count += 1

    def state(self) -> dict[str, Any]:
        """Return everything that decides later alerts, as plain values."""
        return {
            name: {
                "open": {"/".join(k): list(ids) for k, ids in t.open.items()},
                "washed": list(t.washed),
                "layers": [[x.symbol, x.filled_at, x.count, list(x.left)] for x in t.layers],
            }
            for name, t in self._traders.items()
        }

    def _close(self, trader: Trader, report: ExecutionReport) -> None:
        orders = trader.open.get((report.symbol, report.side))
        if orders is not None and report.order_id in orders:
            del orders[report.order_id]
            trader.open_count -= 1

    def _judge_wash(self, trader: Trader, report: ExecutionReport, now: int) -> None:
        """Compare a fill with the one before: both sides of a trade report one after the other."""
        last, self._last_fill = self._last_fill, report
        limit = self._wash_limit
        if limit is None or last is None or last.trade_id != report.trade_id:
            return
        if last.order_id == report.order_id:
            return
        equal = last.qty == report.qty and last.price == report.price
        if not (equal or last.account == report.account):
            return
        for name in dict.fromkeys((last.account, report.account)):
            washed = self._traders[name].washed
            washed.append(report.event_time)
            while washed[0] <= report.event_time - WASH_WINDOW:
                washed.popleft()
            if len(washed) > limit:
                text = f"{len(washed)} within 1m, last with {last.account}"
                self._alerts.notice("wash-trades", name, text, washed[0], now)

    def _remember_layers(self, trader: Trader, report: ExecutionReport) -> None:
        limit = self._layering_limit
        if limit is None:
            return
        other = SELL if report.side == BUY else BUY
        orders = trader.open.get((report.symbol, other), {})
        if len(orders) > limit:
            trader.layers.append(
                Layers(report.symbol, report.event_time, len(orders), dict(orders))
            )

    def _judge_layers(self, trader: Trader, report: ExecutionReport, now: int) -> None:
        oldest = report.event_time - LAYER_WINDOW
        trader.layers = [x for x in trader.layers if x.filled_at >= oldest]
        for layers in list(trader.layers):
            layers.left.pop(report.order_id, None)
            cancelled = layers.count - len(layers.left)
            if cancelled * 100 >= layers.count * LAYER_PERCENT:
                trader.layers.remove(layers)
                text = f"{cancelled} of {layers.count} {layers.symbol} orders cancelled"
                self._alerts.notice("layering", trader.name, text, layers.filled_at, now)
