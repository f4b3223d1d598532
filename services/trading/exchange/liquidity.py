"""Synthetic participants: makers who quote around the reference price, and noise takers."""

from random import Random
from typing import Any

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
#: Makers quote anew when the reference has moved by this share of their nearest distance.
_REQUOTE_SHARE = 3
_NOISE_PROBABILITY = 0.25
_NOISE_NOTIONAL = (200, 4_000)


class Liquidity:
    """``factor``: by symbol, what the makers divide their sizes by (1: undisturbed)."""

    def __init__(self, engine: Engine, rng: Random) -> None:
        self._engine = engine
        self._rng = rng
        self._quoted = dict.fromkeys(engine.instruments, 0)
        self._traded = dict.fromkeys(engine.instruments, 0)
        self._number = 0
        self.factor = dict.fromkeys(engine.instruments, 1)

    def refresh(self, symbol: str) -> None:
        """Quote anew at the next occasion."""
        self._quoted[symbol] = 0

    def act(self, now: int, out: list[Message]) -> None:
        """One tick of every symbol: makers follow the reference, somebody takes a little."""
        engine, rng = self._engine, self._rng
        for symbol, instrument in engine.instruments.items():
            takes = rng.random() < _NOISE_PROBABILITY
            reference = engine.reference[symbol]
            if not reference or engine.status[symbol] != TRADING:
                continue
            stable = engine.universe.asset(instrument.base).stable
            levels = _STABLE_LEVELS if stable else _COIN_LEVELS
            quoted = self._quoted[symbol]
            moved = abs(reference - quoted) * PPM
            if self._traded[symbol] or moved * _REQUOTE_SHARE > levels[0][0] * quoted:
                self._quote(instrument, reference, levels, now, out)
            if takes:
                self._take(instrument, reference, now, out)

    def state(self) -> dict[str, Any]:
        return {
            "quoted": dict(self._quoted),
            "traded": dict(self._traded),
            "number": self._number,
            "factor": dict(self.factor),
            "rng": list(self._rng.getstate()[1]),
        }

    def _quote(
        self,
        instrument: Instrument,
        reference: int,
        levels: tuple[tuple[int, int], ...],
        now: int,
        out: list[Message],
    ) -> None:
        engine, symbol = self._engine, instrument.symbol
        engine.cancel_all(MAKER_ACCOUNT, symbol, now, out)
        share = PPM
        if levels is _COIN_LEVELS:
            share = _SHARE_PPM.get(instrument.base, _OTHER_SHARE_PPM)
        tick, lot = instrument.tick, instrument.lot
        share //= self.factor[symbol]
        for distance, notional in levels:
            offset = max(tick, reference * distance // PPM)
            qty = notional * share * SCALE // PPM * SCALE // reference
            qty -= qty % lot
            below, above = reference - offset, reference + offset
            below -= below % tick
            above += -above % tick
            if qty and below > 0:
                self._place(MAKER_ACCOUNT, symbol, "BUY", qty, below, now, out)
                self._place(MAKER_ACCOUNT, symbol, "SELL", qty, above, now, out)
        self._quoted[symbol] = reference
        self._traded[symbol] = 0

    def _take(self, instrument: Instrument, reference: int, now: int, out: list[Message]) -> None:
        rng = self._rng
        side = "BUY" if rng.random() < 0.5 else "SELL"
        notional = rng.randrange(*_NOISE_NOTIONAL) * SCALE
        qty = notional * SCALE // reference
        qty -= qty % instrument.lot
        if qty:
            self._place(NOISE_ACCOUNT, instrument.symbol, side, qty, 0, now, out)
            self._traded[instrument.symbol] += 1

    def _place(
        self,
        account: str,
        symbol: str,
        side: str,
        qty: int,
        price: int,
        now: int,
        out: list[Message],
    ) -> None:
        self._number += 1
        kind = "LIMIT" if price else "MARKET"
        placed: list[Message] = []
        self._engine.place(
            PlaceOrder(account, f"s-{self._number}", symbol, side, kind, qty, price), now, placed
        )
        # A synthetic order's refusal concerns nobody: books of unlucky levels stay a bit thinner.
        out += [m for m in placed if getattr(m, "execution_type", "") != "REJECTED"]
