"""Runs one or two trading engines against a real exchange, second by second."""

from collections.abc import Sequence

from trading.exchange import Exchange
from trading.messages import Message, Start, Wake
from trading.messages.market import BookTop, PriceTick
from trading.messages.orders import (
    CancelAllOrders,
    CancelOrder,
    ExecutionReport,
    KillSwitchChanged,
    PlaceOrder,
    ReplaceOrder,
    RequestFailed,
)
from trading.messages.strategy import StrategyStateChanged
from trading.trading_engine import TradingEngine
from trading.units import SECOND
from trading.universe import default_universe

START = 1_767_571_200 * SECOND
UNIVERSE = default_universe()
ACCOUNTS = tuple(a.name for a in UNIVERSE.accounts if a.strategy != "manual")
ORDERS = (PlaceOrder, CancelOrder, ReplaceOrder, CancelAllOrders)
_FOR_ENGINES = (BookTop, ExecutionReport, KillSwitchChanged, RequestFailed)


class Market:
    """Delivers messages between an exchange and ``engines`` trading engines, and keeps the time.

    ``prices`` are the index prices by asset; tests may change them. ``sent`` has every message of
    every engine, as (engine number, message). ``dead`` are the numbers of engines that receive
    nothing any more.
    """

    def __init__(self, engines: int = 1) -> None:
        self.exchange = Exchange(UNIVERSE, 7)
        self.engines = [TradingEngine(UNIVERSE) for _ in range(engines)]
        self.prices = {a.name: a.price for a in UNIVERSE.assets}
        self.sent: list[tuple[int, Message]] = []
        self.dead: set[int] = set()
        self.now = START
        self._seq = 0
        self._timers: list[tuple[int, Wake]] = []
        self.to_exchange(Start("test"))
        for number in range(engines):
            self.to_engine(number, Start("test"))

    def advance(self, seconds: int = 1) -> None:
        for _ in range(seconds):
            until = self.now + SECOND
            self._seq += 1
            for asset, price in self.prices.items():
                self.to_exchange(PriceTick(asset, price, self._seq, self.now))
            while due := sorted((t for t in self._timers if t[1].at <= until), key=_at):
                self._timers.remove(due[0])
                to, wake = due[0]
                self.now = max(self.now, wake.at)
                self.to_exchange(wake) if to < 0 else self.to_engine(to, wake)
            self.now = until

    def to_exchange(self, message: Message) -> None:
        deliveries = []
        for answer in self.exchange.on(message, self.now):
            if isinstance(answer, Wake):
                self._timers.append((-1, answer))
            elif isinstance(answer, _FOR_ENGINES):
                deliveries.append(answer)
        for answer in deliveries:
            for number in range(len(self.engines)):
                self.to_engine(number, answer)

    def to_engine(self, number: int, message: Message) -> None:
        if number in self.dead:
            return
        answers = self.engines[number].on(message, self.now)
        for answer in answers:
            if isinstance(answer, Wake):
                self._timers.append((number, answer))
            else:
                self.sent.append((number, answer))
        for answer in answers:
            if isinstance(answer, ORDERS):
                self.to_exchange(answer)

    def orders(self, number: int, account: str) -> list[Message]:
        """Return what an engine has sent to the exchange for an account."""
        return [
            m
            for n, m in self.sent
            if n == number and isinstance(m, ORDERS) and m.account == account
        ]

    def states(self, number: int = 0) -> dict[str, str]:
        """Return the state of every strategy by account."""
        return {desk.account: state for _, state, desk in self.engines[number].strategies()}

    def changes(self, number: int = 0) -> list[tuple[str, str, str]]:
        """Return account, state and reason of every state change, in order."""
        messages = [m for n, m in self.sent if n == number]
        return [
            (m.account, m.state, m.reason) for m in messages if isinstance(m, StrategyStateChanged)
        ]

    def open(self, account: str) -> Sequence[str]:
        """Return the client order ids that are open at the exchange."""
        return list(self.exchange.engine.open[account])

    def total(self, account: str) -> dict[str, int]:
        """Return the balances at the exchange, free and locked together, without zeros."""
        balances = self.exchange.engine.balances[account]
        sums = {a: n + balances.locked[a] for a, n in balances.free.items()}
        return {asset: amount for asset, amount in sums.items() if amount}


def _at(timer: tuple[int, Wake]) -> int:
    return timer[1].at
