"""Verify a strategy malfunction by the orders and fills of the strategy's account."""

from trading.messages import Message
from trading.messages.chaos import StrategyMalfunction
from trading.messages.orders import BUY, ExecutionReport, ExecutionType, Trade
from trading.test_coordinator.watcher import Watcher
from trading.units import PPM, format_ppm, format_units

#: This many orders or fills of the same kind are a pattern, not a coincidence.
PATTERN = 3
#: A new quote further from the mid price than this many ppm is stale.
STALE_QUOTE_PPM = 3_000


class StrategyWatcher(Watcher):
    """Verifies a strategy malfunction: the orders or fills of the strategy's account must show the
    pattern that belongs to the mode of the fault.
    """

    fault: StrategyMalfunction

    def begin(self) -> None:
        """Remember the account of the strategy, its order rate and its largest orders."""
        universe = self.view.universe
        self.account = next(
            (a.name for a in universe.accounts if self.fault.strategy in (a.name, a.strategy)), ""
        )
        activity = self.view.orders.get(self.account)
        self._busiest = activity.busiest if activity else 0
        self._largest = dict(activity.largest) if activity else {}
        self._is_maker = any(
            a.name == self.account and a.strategy == "market-making" for a in universe.accounts
        )
        self._matching_fills = 0

    def on(self, message: Message, now: int) -> None:
        """Check each trade and each report of the account by the mode of the fault."""
        mode = self.fault.mode
        if isinstance(message, Trade):
            if mode == "self-trading" and self._is_self_trade(message):
                text = f"{message.buyer} bought from {message.seller}"
                self.record_evidence(message.event_time, text)
        elif isinstance(message, ExecutionReport) and message.account == self.account:
            if mode == "runaway-repeat":
                self._count_orders(message, now)
            elif mode == "fat-finger":
                self._check_quantity(message)
            elif mode == "stale-quotes":
                self._check_quote(message)
            elif message.execution_type is ExecutionType.TRADE and self._fits_malfunction(message):
                self._matching_fills += 1
                if self._matching_fills >= PATTERN:
                    text = f"{self.account}: {self._matching_fills} fills of kind {mode}"
                    self.record_evidence(message.event_time, text)

    def problem(self, now: int) -> str:
        """Describe that the account still sends orders faster than before the fault."""
        activity = self.view.orders.get(self.account)
        if activity is not None and self.fault.mode == "runaway-repeat":
            recent = sum(1 for at in activity.recent if at > now - 5 * self.view.beat)
            if recent > max(self._busiest, PATTERN):
                return f"{self.account} still sends {recent} orders in 5 beats"
        return ""

    def _is_self_trade(self, trade: Trade) -> bool:
        firm_accounts = self.view.orders
        return (
            self.account in (trade.buyer, trade.seller)
            and trade.buyer in firm_accounts
            and trade.seller in firm_accounts
        )

    def _count_orders(self, report: ExecutionReport, now: int) -> None:
        recent = self.view.orders[self.account].recent
        since_fault = sum(1 for at in recent if at >= self.since)
        if since_fault > 2 * self._busiest + PATTERN:
            self.record_evidence(
                report.event_time, f"{self.account} sent {since_fault} orders in 10 s"
            )

    def _check_quantity(self, report: ExecutionReport) -> None:
        usual = self._largest.get(report.symbol, 0)
        if usual and report.qty * 2 > usual * self.fault.factor:
            text = f"{self.account} ordered {format_units(report.qty)} {report.symbol}"
            self.record_evidence(report.event_time, text)

    def _check_quote(self, report: ExecutionReport) -> None:
        mid = self.view.mid(report.symbol)
        if report.execution_type is ExecutionType.NEW and report.price and mid:
            off = (report.price - mid) * PPM // mid
            if abs(off) > STALE_QUOTE_PPM:
                text = f"{self.account} quotes {report.symbol} {format_ppm(off)} off the mid"
                self.record_evidence(report.event_time, text)

    def _fits_malfunction(self, report: ExecutionReport) -> bool:
        """Return whether a fill fits the mode: a purchase if the position grows, a taker fill of
        a strategy that normally only makes, any fill of another strategy.
        """
        if self.fault.mode == "position-growth":
            return report.side == BUY
        return not report.is_maker if self._is_maker else True
