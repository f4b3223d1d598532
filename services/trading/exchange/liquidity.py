"""Synthetic participants: makers who quote around the reference price, and noise takers."""

from random import Random
from typing import Any

from trading.exchange.book import Order
from trading.exchange.engine import TRADING, Engine
from trading.messages import Message
from trading.messages.orders import PlaceOrder
from trading.units import PPM, SCALE
from trading.universe import MAKER_ACCOUNT, NOISE_ACCOUNT, Instrument

#: Levels of one side: distance from the reference price in ppm, notional in quote units.
_COIN_LEVELS = ((250, 60_000), (800, 150_000), (2_000, 300_000), (4_500, 450_000), (8_000, 600_000))
_STABLE_LEVELS = ((150, 200_000), (600, 600_000), (2_000, 1_000_000), (6_000, 1_500_000))
#: Share of the coin levels' notional by base asset; the rest of the coins get the last.
_SHARE_PPM = {"BTC": 1_000_000, "ETH": 600_000}
_OTHER_SHARE_PPM = 250_000
#: Makers move a level when the reference has moved by this share of its distance.
_REQUOTE_SHARE = 3
_NOISE_PROBABILITY = 0.25
_NOISE_NOTIONAL = (200, 4_000)


class _Level:
    """Both orders of one distance, placed when the reference price was ``quoted`` (0: not yet)."""

    __slots__ = ("ask", "bid", "distance", "notional", "quoted")

    def __init__(self, distance: int, notional: int) -> None:
        self.distance = distance
        self.notional = notional
        self.quoted = 0
        self.bid: Order | None = None
        self.ask: Order | None = None

    def stands(self, reference: int) -> bool:
        """Is it near enough to its distance, and has nobody taken of it?"""
        moved = abs(reference - self.quoted) * PPM * _REQUOTE_SHARE
        if moved > self.distance * self.quoted:
            return False
        bid, ask = self.bid, self.ask
        return (bid is None or bid.left == bid.qty) and (ask is None or ask.left == ask.qty)


class Liquidity:
    """``factor``: by symbol, what the makers divide their sizes by (1: undisturbed)."""

    def __init__(self, engine: Engine, rng: Random) -> None:
        self._engine = engine
        self._rng = rng
        self._levels = {
            i.symbol: tuple(_Level(*level) for level in _levels(engine, i))
            for i in engine.instruments.values()
        }
        self._number = 0
        self.factor = dict.fromkeys(engine.instruments, 1)

    def refresh(self, symbol: str) -> None:
        """Quote anew at the next occasion."""
        for level in self._levels[symbol]:
            level.quoted = 0

    def act(self, now: int, out: list[Message]) -> None:
        """One tick of every symbol: makers follow the reference, somebody takes a little."""
        engine, rng = self._engine, self._rng
        for symbol, instrument in engine.instruments.items():
            takes = rng.random() < _NOISE_PROBABILITY
            reference = engine.reference[symbol]
            if not reference or engine.status[symbol] != TRADING:
                continue
            old = [level for level in self._levels[symbol] if not level.stands(reference)]
            if old:
                self._quote(instrument, reference, old, now, out)
            if takes:
                self._take(instrument, reference, now, out)

    def state(self) -> dict[str, Any]:
        return {
            "levels": {
                symbol: [[x.quoted, _id(x.bid), _id(x.ask)] for x in levels]
                for symbol, levels in self._levels.items()
            },
            "number": self._number,
            "factor": dict(self.factor),
            "rng": list(self._rng.getstate()[1]),
        }

    def _quote(
        self,
        instrument: Instrument,
        reference: int,
        levels: list[_Level],
        now: int,
        out: list[Message],
    ) -> None:
        """Move these levels. All go before the first comes back, so that none meets another; the
        others are too near to their distances to be in the way.
        """
        symbol = instrument.symbol
        for level in levels:
            for order in (level.bid, level.ask):
                if order is not None:
                    self._engine.cancel(MAKER_ACCOUNT, order.client_order_id, now, out)
        tick, lot = instrument.tick, instrument.lot
        factor = self.factor[symbol]
        for level in levels:
            offset = max(tick, reference * level.distance // PPM)
            qty = level.notional * SCALE // factor * SCALE // reference
            qty -= qty % lot
            below, above = reference - offset, reference + offset
            below -= below % tick
            above += -above % tick
            level.quoted = reference
            level.bid = level.ask = None
            if qty and below > 0:
                level.bid = self._make(symbol, True, qty, below, now, out)
                level.ask = self._make(symbol, False, qty, above, now, out)

    def _take(self, instrument: Instrument, reference: int, now: int, out: list[Message]) -> None:
        rng = self._rng
        side = "BUY" if rng.random() < 0.5 else "SELL"
        notional = rng.randrange(*_NOISE_NOTIONAL) * SCALE
        qty = notional * SCALE // reference
        qty -= qty % instrument.lot
        if qty:
            self._place(NOISE_ACCOUNT, instrument.symbol, side, qty, 0, now, out)

    def _make(
        self, symbol: str, buy: bool, qty: int, price: int, now: int, out: list[Message]
    ) -> Order | None:
        """Most quotes meet nobody; those that do are orders like any other."""
        self._number += 1
        order = self._engine.quote(MAKER_ACCOUNT, f"s-{self._number}", symbol, buy, qty, price)
        if order is not None:
            return order
        return self._place(MAKER_ACCOUNT, symbol, "BUY" if buy else "SELL", qty, price, now, out)

    def _place(
        self,
        account: str,
        symbol: str,
        side: str,
        qty: int,
        price: int,
        now: int,
        out: list[Message],
    ) -> Order | None:
        """A synthetic order's refusal concerns nobody: an unlucky level stays empty."""
        self._number += 1
        kind = "LIMIT" if price else "MARKET"
        placed: list[Message] = []
        order = self._engine.place(
            PlaceOrder(account, f"s-{self._number}", symbol, side, kind, qty, price), now, placed
        )
        if order is not None:
            out += placed
        return order


def _levels(engine: Engine, instrument: Instrument) -> list[tuple[int, int]]:
    if engine.universe.asset(instrument.base).stable:
        return list(_STABLE_LEVELS)
    share = _SHARE_PPM.get(instrument.base, _OTHER_SHARE_PPM)
    return [(distance, notional * share // PPM) for distance, notional in _COIN_LEVELS]


def _id(order: Order | None) -> int:
    return order.order_id if order is not None else 0
