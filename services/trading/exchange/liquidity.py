"""Synthetic participants: a maker that quotes around the reference price, and a noise trader.

They give the firm's strategies a market to trade in. Both place orders in the same books as
everybody else, on accounts of their own that cannot run out of money.
"""

from random import Random
from typing import Any

from trading.exchange.book import Order
from trading.exchange.engine import Engine
from trading.messages import Message
from trading.messages.market import SymbolStatus
from trading.messages.orders import BUY, SELL, OrderType, PlaceOrder, Side
from trading.units import PPM, SCALE
from trading.universe import MAKER_ACCOUNT, NOISE_ACCOUNT, Instrument

#: Levels of one side: distance from the reference price in ppm, notional in whole quote coins.
_COIN_LEVELS = ((250, 60_000), (800, 150_000), (2_000, 300_000), (4_500, 450_000), (8_000, 600_000))
_STABLE_LEVELS = ((150, 200_000), (600, 600_000), (2_000, 1_000_000), (6_000, 1_500_000))
#: Share of the coin levels' notional by base asset; coins not listed get _OTHER_SHARE_PPM.
_SHARE_PPM = {"BTC": 1_000_000, "ETH": 600_000}
_OTHER_SHARE_PPM = 250_000
#: The maker moves a level once the reference price has moved by 1/3 of the level's distance.
_REQUOTE_DIVISOR = 3
#: Per symbol and tick.
_NOISE_PROBABILITY = 0.25
#: Range of a noise order's notional, in whole quote coins.
_NOISE_NOTIONAL = (200, 4_000)


class _Level:
    """The maker's two orders at one distance from the reference price.

    ``distance`` is in ppm, ``notional`` in whole quote coins. ``quoted`` is the reference price at
    which the orders were placed; 0 if they have to be placed anew.
    """

    __slots__ = ("ask", "bid", "distance", "notional", "quoted")

    def __init__(self, distance: int, notional: int) -> None:
        self.distance = distance
        self.notional = notional
        self.quoted = 0
        self.bid: Order | None = None
        self.ask: Order | None = None

    def is_current(self, reference: int) -> bool:
        """Return whether both orders may stay: near enough to their distance, and not filled."""
        moved = abs(reference - self.quoted) * PPM * _REQUOTE_DIVISOR
        if moved > self.distance * self.quoted:
            return False
        bid, ask = self.bid, self.ask
        return (bid is None or bid.leaves_qty == bid.qty) and (
            ask is None or ask.leaves_qty == ask.qty
        )


class Liquidity:
    """Places and moves the synthetic orders, once per tick.

    ``rng`` decides when and how the noise trader trades. ``factor`` is what the maker divides its
    sizes by, by symbol; 1 means undisturbed liquidity.
    """

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
        """Place all of the maker's orders on ``symbol`` anew at the next tick."""
        for level in self._levels[symbol]:
            level.quoted = 0

    def on_tick(self, now: int, out: list[Message]) -> None:
        """Move the maker's orders after the reference price, and let the noise trader trade.

        Nothing happens on a symbol that is halted or has no reference price yet.
        """
        engine, rng = self._engine, self._rng
        for symbol, instrument in engine.instruments.items():
            noise_trades = rng.random() < _NOISE_PROBABILITY
            reference = engine.reference[symbol]
            if not reference or engine.status[symbol] is not SymbolStatus.TRADING:
                continue
            outdated = [level for level in self._levels[symbol] if not level.is_current(reference)]
            if outdated:
                self._requote(instrument, reference, outdated, now, out)
            if noise_trades:
                self._trade_noise(instrument, reference, now, out)

    def state(self) -> dict[str, Any]:
        """Return everything that decides future behaviour, as plain data to be compared."""
        return {
            "levels": {
                symbol: [[x.quoted, _order_id(x.bid), _order_id(x.ask)] for x in levels]
                for symbol, levels in self._levels.items()
            },
            "number": self._number,
            "factor": dict(self.factor),
            "rng": list(self._rng.getstate()[1]),
        }

    def _requote(
        self,
        instrument: Instrument,
        reference: int,
        levels: list[_Level],
        now: int,
        out: list[Message],
    ) -> None:
        """Cancel the orders of ``levels`` and place them around the new reference price.

        All are canceled before the first is placed, so that none crosses another. Levels that stay
        are near enough to their distances not to be crossed.
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
            bid_price, ask_price = reference - offset, reference + offset
            bid_price -= bid_price % tick
            ask_price += -ask_price % tick
            level.quoted = reference
            level.bid = level.ask = None
            if qty and bid_price > 0:
                level.bid = self._place_quote(symbol, True, qty, bid_price, now, out)
                level.ask = self._place_quote(symbol, False, qty, ask_price, now, out)

    def _trade_noise(
        self, instrument: Instrument, reference: int, now: int, out: list[Message]
    ) -> None:
        """Place a small MARKET order on a random side."""
        rng = self._rng
        side = BUY if rng.random() < 0.5 else SELL
        notional = rng.randrange(*_NOISE_NOTIONAL) * SCALE
        qty = notional * SCALE // reference
        qty -= qty % instrument.lot
        if qty:
            self._place(NOISE_ACCOUNT, instrument.symbol, side, qty, 0, now, out)

    def _place_quote(
        self, symbol: str, buy: bool, qty: int, price: int, now: int, out: list[Message]
    ) -> Order | None:
        """Place one of the maker's orders; as an ordinary order if it crosses another account's.

        Most quotes do not cross, and :meth:`Engine.quote` is much cheaper.
        """
        self._number += 1
        order = self._engine.quote(MAKER_ACCOUNT, f"s-{self._number}", symbol, buy, qty, price)
        if order is not None:
            return order
        return self._place(MAKER_ACCOUNT, symbol, BUY if buy else SELL, qty, price, now, out)

    def _place(
        self,
        account: str,
        symbol: str,
        side: Side,
        qty: int,
        price: int,
        now: int,
        out: list[Message],
    ) -> Order | None:
        """Place a LIMIT order, or a MARKET order if ``price`` is 0. Return None if it is rejected.

        A rejection is not published: the level stays empty until it is moved again.
        """
        self._number += 1
        kind = OrderType.LIMIT if price else OrderType.MARKET
        messages: list[Message] = []
        order = self._engine.place(
            PlaceOrder(account, f"s-{self._number}", symbol, side, kind, qty, price), now, messages
        )
        if order is not None:
            out += messages
        return order


def _levels(engine: Engine, instrument: Instrument) -> list[tuple[int, int]]:
    """Return distance (ppm) and notional (whole quote coins) of each level of a symbol."""
    if engine.universe.asset(instrument.base).stable:
        return list(_STABLE_LEVELS)
    share = _SHARE_PPM.get(instrument.base, _OTHER_SHARE_PPM)
    return [(distance, notional * share // PPM) for distance, notional in _COIN_LEVELS]


def _order_id(order: Order | None) -> int:
    return order.order_id if order is not None else 0
