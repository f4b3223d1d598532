"""The exchange as a component: requests in; reports, trades and book updates out.

:class:`Exchange` hands requests to the matching engine, drives the synthetic participants once per
tick, and plays the faults that the test coordinator injects: outages, halts, vanishing liquidity
and depegs of this venue's own market.
"""

from collections.abc import Callable, Sequence
from typing import Any

from trading.exchange.depeg import VenueDepegs
from trading.exchange.engine import Engine
from trading.exchange.liquidity import Liquidity
from trading.exchange.outage import Outage
from trading.exchange.reports import report_unknown_order
from trading.messages import Message, Start, Wake
from trading.messages.chaos import (
    Depeg,
    ExchangeOutage,
)
from trading.messages.market import BookTop, Ping, PriceTick, SymbolStatus, SymbolStatusChanged
from trading.messages.orders import (
    AccountQuery,
    CancelAllOrders,
    CancelOrder,
    HaltMarket,
    PlaceOrder,
    ReplaceOrder,
    SetKillSwitch,
)
from trading.runtime.component import answer_ping
from trading.runtime.faults import LEASE_TOPIC, FaultBoard, fault_handlers
from trading.runtime.rng import random_stream
from trading.topology import EXCHANGE
from trading.units import SCALE, SECOND
from trading.universe import Universe

#: Topic of the timer that drives book updates and synthetic participants.
TICK = "tick"

#: Messages that a handler emits; handlers append to it.
Output = list[Message]


class Exchange:
    """Runs the venue: a state machine from messages to messages.

    ``universe`` gives instruments and accounts, ``seed`` the random streams of liquidity and
    outages. ``tick`` is the interval, in simulated microseconds, at which synthetic participants
    act and the top of every book is published.
    """

    name = EXCHANGE

    def __init__(self, universe: Universe, seed: int, *, tick: int = SECOND) -> None:
        self.engine = Engine(universe)
        self._universe = universe
        self._tick = tick
        self._index: dict[str, int] = {}
        self._liquidity = Liquidity(self.engine, random_stream(seed, "exchange/liquidity"))
        self._outage = Outage(random_stream(seed, "exchange/outage"))
        self._depegs = VenueDepegs(universe)
        self._updates = dict.fromkeys(universe.symbols, 0)
        self._faults = FaultBoard(
            self.name, (ExchangeOutage, Depeg), self._begin_fault, self._end_fault
        )
        self._handlers: dict[type, Callable[[Any, int, Output], None]] = {
            Start: self._on_start,
            Wake: self._on_wake,
            PriceTick: self._on_tick,
            Ping: self._on_ping,
            PlaceOrder: self._on_place,
            CancelOrder: self._on_cancel,
            ReplaceOrder: self._on_replace,
            CancelAllOrders: self._on_cancel_all,
            SetKillSwitch: self._on_kill,
            HaltMarket: self._on_halt,
            AccountQuery: self._on_query,
            **fault_handlers(self._on_fault),
        }

    @property
    def outage_modes(self) -> frozenset[str]:
        """Return the modes of :class:`ExchangeOutage` that are in force at the connections."""
        return self._outage.modes

    @property
    def outage_delay(self) -> int:
        """Return by how many simulated microseconds every answer is delayed now."""
        return self._outage.delay

    def on(self, message: Message, now: int) -> Sequence[Message]:
        """Handle one message at simulated time ``now``; return the messages to send.

        During an outage, requests may be refused before and answers withheld after the handler.
        """
        handler = self._handlers.get(type(message))
        if handler is None:
            return ()
        outage = self._outage
        if not outage.active:
            out: Output = []
            handler(message, now, out)
            return out
        failures = outage.fail_request(message, now)
        if failures is not None:
            return failures
        out = []
        handler(message, now, out)
        return outage.filter_output(out, now) + outage.fail_execution(message, now)

    def state(self) -> dict[str, Any]:
        """Return everything that decides future behaviour, as plain data to be compared."""
        return {
            "engine": self.engine.state(),
            "index": dict(self._index),
            "liquidity": self._liquidity.state(),
            "outage": self._outage.state(),
            "depegs": self._depegs.state(),
            "updates": dict(self._updates),
            "faults": self._faults.state(),
        }

    def _on_start(self, message: Start, now: int, out: Output) -> None:
        # A quarter of a tick late, so that the index ticks of the same instant have arrived.
        out.append(Wake(now - now % self._tick + self._tick + self._tick // 4, TICK))

    def _on_wake(self, message: Wake, now: int, out: Output) -> None:
        if message.topic.startswith(LEASE_TOPIC):
            out += self._faults.on(message, now)
            return
        out.append(Wake(now + self._tick, TICK))
        self._update_reference_prices(now)
        self._liquidity.on_tick(now, out)
        for symbol in self.engine.books:
            out.append(self._top(symbol, now))

    def _on_tick(self, tick: PriceTick, now: int, out: Output) -> None:
        if tick.price is not None and tick.price > 0:
            self._index[tick.asset] = tick.price

    def _on_ping(self, message: Ping, now: int, out: Output) -> None:
        out.append(answer_ping(self.name, message, now))

    def _on_place(self, order: PlaceOrder, now: int, out: Output) -> None:
        self.engine.place(order, now, out)

    def _on_cancel(self, request: CancelOrder, now: int, out: Output) -> None:
        if not self.engine.cancel(request.account, request.client_order_id, now, out):
            out.append(report_unknown_order(request, event_time=now))

    def _on_replace(self, request: ReplaceOrder, now: int, out: Output) -> None:
        if self.engine.cancel(request.account, request.client_order_id, now, out, "REPLACED"):
            self.engine.place(request.order, now, out)
        else:
            out.append(report_unknown_order(request, event_time=now))

    def _on_cancel_all(self, request: CancelAllOrders, now: int, out: Output) -> None:
        self.engine.cancel_all(request.account, request.symbol, now, out)

    def _on_kill(self, request: SetKillSwitch, now: int, out: Output) -> None:
        if request.account in self.engine.balances:
            self.engine.set_kill_switch(request.account, request.engaged, request.reason, now, out)

    def _on_halt(self, request: HaltMarket, now: int, out: Output) -> None:
        for symbol in request.symbols or self._universe.symbols:
            if symbol in self.engine.status:
                self._set_status(symbol, request.status, request.reason, now, out)

    def _on_query(self, query: AccountQuery, now: int, out: Output) -> None:
        if query.account in self.engine.balances:
            snapshot = self.engine.snapshot(query.source, query.request_id, query.account, now)
            out.append(snapshot)

    def _on_fault(self, message: Message, now: int, out: Output) -> None:
        out += self._faults.on(message, now)

    def _begin_fault(self, fault_id: str, fault: Any, now: int) -> Sequence[Message]:
        out: Output = []
        if isinstance(fault, Depeg):
            if fault.scope != "venue":
                raise ValueError("SCOPE_IS_NOT_VENUE")
            self._depegs.begin(fault, now)
        elif fault.mode == "liquidity":
            for symbol in fault.symbols:
                self._liquidity.factor[symbol] = fault.factor
                self._liquidity.refresh(symbol)
        elif fault.mode == "halt":
            for symbol in fault.symbols:
                self._set_status(symbol, SymbolStatus.HALT, "VENUE_HALT", now, out)
        else:
            self._outage.begin(fault)
        return out

    def _end_fault(self, fault_id: str, fault: Any, now: int) -> Sequence[Message]:
        out: Output = []
        if isinstance(fault, Depeg):
            self._depegs.end(fault, now)
        elif fault.mode == "liquidity":
            for symbol in fault.symbols:
                self._liquidity.factor[symbol] = 1
                self._liquidity.refresh(symbol)
        elif fault.mode == "halt":
            for symbol in fault.symbols:
                self._set_status(symbol, SymbolStatus.TRADING, "VENUE_RESUMED", now, out)
        else:
            out += self._outage.end(fault)
        return out

    def _set_status(
        self, symbol: str, status: SymbolStatus, reason: str, now: int, out: Output
    ) -> None:
        self.engine.status[symbol] = status
        out.append(SymbolStatusChanged(symbol, status, reason, now))

    def _update_reference_prices(self, now: int) -> None:
        """Set each symbol's reference price: the USD price of the base by that of the quote asset.

        A depeg of this venue replaces the index price of the base. A symbol keeps its last
        reference price while either price is unknown.
        """
        index = self._index
        venue_prices = self._depegs.prices(now)
        for symbol, instrument in self.engine.instruments.items():
            base = venue_prices.get(instrument.base) or index.get(instrument.base, 0)
            quote = index.get(instrument.quote, 0)
            if base and quote:
                self.engine.reference[symbol] = base * SCALE // quote

    def _top(self, symbol: str, now: int) -> BookTop:
        """Return the best prices of one book and its depth within 1 % of the mid price."""
        book = self.engine.books[symbol]
        bid, ask = book.best_bid, book.best_ask
        self._updates[symbol] += 1
        bid_qty = sum(o.leaves_qty for o in book.bids.levels[bid].values()) if bid else 0
        ask_qty = sum(o.leaves_qty for o in book.asks.levels[-ask].values()) if ask else 0
        mid = (bid + ask) // 2 if bid and ask else bid or ask
        return BookTop(
            symbol,
            bid,
            bid_qty,
            ask,
            ask_qty,
            _depth(book.bids.keys, book.bids.levels, mid - mid // 100),
            _depth(book.asks.keys, book.asks.levels, -(mid + mid // 100)),
            self._updates[symbol],
            now,
        )


def _depth(keys: list[int], levels: dict[int, dict[int, Any]], worst_key: int) -> int:
    """Return the notional, in quote units, that rests at ``worst_key`` or better."""
    total = 0
    for key in reversed(keys):
        if key < worst_key:
            break
        qty = 0
        for order in levels[key].values():
            qty += order.leaves_qty
        total += abs(key) * qty // SCALE
    return total
