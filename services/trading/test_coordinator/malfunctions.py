"""Evidence that a strategy runs away, from its orders and fills alone."""

from trading.messages import Message
from trading.messages.chaos import StrategyMalfunction
from trading.messages.orders import BUY, ExecutionReport, Trade
from trading.test_coordinator.watcher import Watcher
from trading.units import PPM, format_ppm, format_units

#: Orders or fills that make a pattern.
PATTERN = 3
#: A new quote this far from the mid price is a stale one.
STALE_QUOTE = 3_000


class StrategyWatcher(Watcher):
    """Watches the account of one strategy for what its malfunction does to orders and fills."""

    fault: StrategyMalfunction

    def begin(self) -> None:
        universe = self.view.universe
        self.account = next(
            (a.name for a in universe.accounts if self.fault.strategy in (a.name, a.strategy)), ""
        )
        orders = self.view.orders.get(self.account)
        self._busiest = orders.busiest if orders else 0
        self._largest = dict(orders.largest) if orders else {}
        self._passive = any(
            a.name == self.account and a.strategy == "market-making" for a in universe.accounts
        )
        self._pattern = 0

    def on(self, message: Message, now: int) -> None:
        mode = self.fault.mode
        if isinstance(message, Trade):
            if mode == "self-trading" and self._crossed(message):
                text = f"{message.buyer} bought from {message.seller}"
                self.seen(message.event_time, text)
        elif isinstance(message, ExecutionReport) and message.account == self.account:
            if mode == "runaway-repeat":
                self._count(message, now)
            elif mode == "fat-finger":
                self._weigh(message)
            elif mode == "stale-quotes":
                self._compare(message)
            elif message.execution_type == "TRADE" and self._wrong(message):
                self._pattern += 1
                if self._pattern >= PATTERN:
                    text = f"{self.account}: {self._pattern} fills of kind {mode}"
                    self.seen(message.event_time, text)

    def problem(self, now: int) -> str:
        orders = self.view.orders.get(self.account)
        if orders is not None and self.fault.mode == "runaway-repeat":
            recent = sum(1 for at in orders.recent if at > now - 5 * self.view.beat)
            if recent > max(self._busiest, PATTERN):
                return f"{self.account} still sends {recent} orders in 5 beats"
        return ""

    def _crossed(self, trade: Trade) -> bool:
        firm = self.view.orders
        return (
            self.account in (trade.buyer, trade.seller)
            and trade.buyer in firm
            and trade.seller in firm
        )

    def _count(self, report: ExecutionReport, now: int) -> None:
        recent = self.view.orders[self.account].recent
        fresh = sum(1 for at in recent if at >= self.since)
        if fresh > 2 * self._busiest + PATTERN:
            self.seen(report.event_time, f"{self.account} sent {fresh} orders in 10 s")

    def _weigh(self, report: ExecutionReport) -> None:
        usual = self._largest.get(report.symbol, 0)
        if usual and report.qty * 2 > usual * self.fault.factor:
            text = f"{self.account} ordered {format_units(report.qty)} {report.symbol}"
            self.seen(report.event_time, text)

    def _compare(self, report: ExecutionReport) -> None:
        mid = self.view.mid(report.symbol)
        if report.execution_type == "NEW" and report.price and mid:
            off = (report.price - mid) * PPM // mid
            if abs(off) > STALE_QUOTE:
                text = f"{self.account} quotes {report.symbol} {format_ppm(off)} off the mid"
                self.seen(report.event_time, text)

    def _wrong(self, report: ExecutionReport) -> bool:
        """Fills that fit the malfunction: purchases that grow, or a maker that takes."""
        if self.fault.mode == "position-growth":
            return report.side == BUY
        return not report.is_maker if self._passive else True
