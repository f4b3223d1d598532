"""A simulated production environment for the risk monitor. Everything is healthy until a test
changes something.
"""

from collections.abc import Callable, Mapping

import msgspec

from trading.messages import Message, Start, Wake
from trading.messages.custody import (
    CustodyBalance,
    CustodyQuery,
    CustodySnapshot,
    OverdueSettlement,
)
from trading.messages.market import BookTop, Ping, Pong, PriceTick
from trading.messages.orders import (
    AccountQuery,
    AccountSnapshot,
    Balance,
    ExecutionReport,
    ExecutionType,
    OrderStatus,
    SetKillSwitch,
)
from trading.messages.risk import AlertFired, PortfolioReported
from trading.risk_monitor import RiskMonitor
from trading.units import SCALE, SECOND, parse_units
from trading.universe import default_universe

#: Start of the simulated time, in microseconds: midnight UTC of a day.
START = 1_767_571_200 * SECOND
ACCOUNT = "firm-momentum"
#: Depth of both sides of every book, in the quote asset.
DEPTH = 1_000_000 * SCALE


class Production:
    """Sends a risk monitor everything that it receives in production, and collects its messages.

    ``limits`` and the other arguments are those of the risk monitor. A test changes the prices by
    asset, the mid prices and the depth by symbol, or the balances by account, and then calls
    :meth:`advance`. ``down`` names services that do not answer, and ``silent`` assets without
    ticks. ``sent`` has every message of the risk monitor.
    """

    def __init__(self, limits: Mapping[str, str] = {}, **more: object) -> None:
        self.universe = default_universe()
        self.monitor = RiskMonitor(self.universe, limits=limits, **more)  # type: ignore[arg-type]
        self.now = START
        self.prices: dict[str, int | None] = {a.name: a.price for a in self.universe.assets}
        self.mids: dict[str, int] = {}
        self.depth = dict.fromkeys(self.universe.symbols, DEPTH)
        self.at_exchange = {a.name: dict(a.balances) for a in self.universe.accounts}
        self.at_custodian = {a.name: dict(a.balances) for a in self.universe.accounts}
        self.overdue: tuple[OverdueSettlement, ...] = ()
        self.down: set[str] = set()
        self.silent: set[str] = set()
        self.seq = dict.fromkeys(self.prices, 0)
        self.sent: list[Message] = []
        self.timers: list[Wake] = []
        self.orders = 0
        self.deliver(Start("test"))

    @property
    def alerts(self) -> list[tuple[str, str]]:
        """Return (rule, subject) of every alert, in the order in which they fired."""
        return [(m.rule, m.subject) for m in self.sent if isinstance(m, AlertFired)]

    @property
    def killed(self) -> list[str]:
        """Return the accounts whose kill switch was requested, once for each request."""
        return [m.account for m in self.sent if isinstance(m, SetKillSwitch) and m.engaged]

    @property
    def portfolios(self) -> list[PortfolioReported]:
        """Return every portfolio report."""
        return [m for m in self.sent if isinstance(m, PortfolioReported)]

    @property
    def portfolio(self) -> PortfolioReported:
        """Return the newest portfolio report."""
        return self.portfolios[-1]

    def deliver(self, message: Message) -> None:
        """Deliver a message now, and answer the pings and queries that follow from it."""
        for answer in self.monitor.on(message, self.now):
            self.sent.append(answer)
            if isinstance(answer, Wake):
                self.timers.append(answer)
            elif isinstance(answer, Ping) and answer.to not in self.down:
                self.deliver(Pong(answer.source, answer.to, answer.nonce, self.now))
            elif isinstance(answer, AccountQuery):
                self.deliver(self._account(answer))
            elif isinstance(answer, CustodyQuery):
                self.deliver(self._custody(answer))

    def advance(self, seconds: int, change: Callable[[int], None] | None = None) -> None:
        """Let some seconds pass: timers are triggered, then every price and every book is
        published. ``change`` is called at the beginning of each second with its number, from 1.
        """
        for number in range(1, seconds + 1):
            until = self.now + SECOND
            if change is not None:
                change(number)
            for wake in [w for w in self.timers if w.at <= until]:
                self.timers.remove(wake)
                self.now = wake.at
                self.deliver(wake)
            self.now = until
            for asset in self.prices:
                if asset not in self.silent:
                    self.tick(asset)
            for symbol in self.universe.symbols:
                self.book(symbol)

    def tick(self, asset: str) -> None:
        """Publish the price of an asset."""
        self.seq[asset] += 1
        self.deliver(PriceTick(asset, self.prices[asset], self.seq[asset], self.now))

    def book(self, symbol: str) -> None:
        """Publish the top of the book of a symbol."""
        instrument = self.universe.instrument(symbol)
        index_price = self.prices[instrument.base] or 0
        mid = self.mids.get(symbol, index_price)
        half = self.depth[symbol] // 2
        tick = instrument.tick
        self.deliver(
            BookTop(symbol, mid - tick, SCALE, mid + tick, SCALE, half, half, self.now, self.now)
        )

    def report(
        self, kind: str = "NEW", *, qty: int = SCALE, price: int = 0, **fields: object
    ) -> ExecutionReport:
        """Deliver an execution report, by default of an order in USDC at price 1 by a firm account,
        and return it. ``fields`` override fields of the report.
        """
        self.orders += 1
        status = OrderStatus.FILLED if kind == ExecutionType.TRADE else OrderStatus(kind)
        report = ExecutionReport(
            account=ACCOUNT,
            client_order_id=f"c{self.orders}",
            order_id=self.orders,
            symbol="USDCUSDT",
            side="BUY",
            type="LIMIT",
            time_in_force="GTC",
            qty=qty,
            price=price or SCALE,
            execution_type=ExecutionType(kind),
            status=status,
            cum_qty=0,
            cum_quote=0,
            last_qty=0,
            last_price=0,
            trade_id=0,
            is_maker=False,
            reason="",
            event_time=self.now,
        )
        report = msgspec.structs.replace(report, **fields)
        self.deliver(report)
        return report

    def _account(self, query: AccountQuery) -> AccountSnapshot:
        amounts = self.at_exchange[query.account]
        balances = tuple(Balance(asset, free, 0) for asset, free in amounts.items())
        return AccountSnapshot(
            query.source, query.request_id, query.account, balances, 0, 0, False, 0, self.now
        )

    def _custody(self, query: CustodyQuery) -> CustodySnapshot:
        balances = tuple(
            CustodyBalance(account, asset, amount, 0)
            for account, amounts in self.at_custodian.items()
            for asset, amount in amounts.items()
        )
        return CustodySnapshot(query.source, query.request_id, balances, self.overdue, 0, self.now)


def usd(text: str) -> int:
    """Return a decimal number, e.g. ``"1.5"``, in units of 1e-8."""
    return parse_units(text)
