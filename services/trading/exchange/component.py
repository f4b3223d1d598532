"""The exchange as a component: requests in, reports, trades and books out, faults between."""

from collections.abc import Callable, Sequence
from typing import Any

from trading.exchange.depeg import VenueDepegs
from trading.exchange.engine import CANCEL_ONLY, HALT, TRADING, Engine
from trading.exchange.liquidity import Liquidity
from trading.exchange.outage import Outage
from trading.messages import Message, Start, Wake
from trading.messages.chaos import (
    Depeg,
    ExchangeOutage,
    InjectFault,
    RecoverFault,
    RenewFault,
)
from trading.messages.market import BookTop, Ping, PriceTick, SymbolStatusChanged
from trading.messages.orders import (
    AccountQuery,
    CancelAllOrders,
    CancelOrder,
    ExecutionReport,
    HaltMarket,
    PlaceOrder,
    ReplaceOrder,
    SetKillSwitch,
)
from trading.runtime.component import answer_ping
from trading.runtime.faults import LEASE_TOPIC, FaultBoard
from trading.runtime.rng import stream
from trading.topology import EXCHANGE
from trading.units import SCALE, SECOND
from trading.universe import Universe

TICK = "tick"

Answer = list[Message]


class Exchange:
    """``tick``: microseconds between two looks at the synthetic makers and two book updates."""

    name = EXCHANGE

    def __init__(self, universe: Universe, seed: int, *, tick: int = SECOND) -> None:
        self.engine = Engine(universe)
        self._universe = universe
        self._tick = tick
        self._index: dict[str, int] = {}
        self._liquidity = Liquidity(self.engine, stream(seed, "exchange/liquidity"))
        self._outage = Outage(stream(seed, "exchange/outage"))
        self._depegs = VenueDepegs(universe)
        self._updates = dict.fromkeys(universe.symbols, 0)
        self._faults = FaultBoard(
            self.name, (ExchangeOutage, Depeg), self._begin_fault, self._end_fault
        )
        self._handlers: dict[type, Callable[[Any, int, Answer], None]] = {
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
            InjectFault: self._on_fault,
            RenewFault: self._on_fault,
            RecoverFault: self._on_fault,
        }

    @property
    def outage_modes(self) -> frozenset[str]:
        """Modes of :class:`ExchangeOutage` that are played at the wire now."""
        return self._outage.modes

    @property
    def outage_delay(self) -> int:
        """Microseconds that every answer is late now."""
        return self._outage.delay

    def on(self, message: Message, now: int) -> Sequence[Message]:
        handler = self._handlers.get(type(message))
        if handler is None:
            return ()
        outage = self._outage
        if not outage.on:
            out: Answer = []
            handler(message, now, out)
            return out
        refused = outage.refuse(message, now)
        if refused is not None:
            return refused
        out = []
        handler(message, now, out)
        return outage.out(out, now) + outage.unknown(message, now)

    def state(self) -> dict[str, Any]:
        return {
            "engine": self.engine.state(),
            "index": dict(self._index),
            "liquidity": self._liquidity.state(),
            "outage": self._outage.state(),
            "depegs": self._depegs.state(),
            "updates": dict(self._updates),
            "faults": self._faults.state(),
        }

    def _on_start(self, message: Start, now: int, out: Answer) -> None:
        # After the index ticks of the same instant have arrived.
        out.append(Wake(now - now % self._tick + self._tick + self._tick // 4, TICK))

    def _on_wake(self, message: Wake, now: int, out: Answer) -> None:
        if message.topic.startswith(LEASE_TOPIC):
            out += self._faults.on(message, now)
            return
        out.append(Wake(now + self._tick, TICK))
        self._refer(now)
        self._liquidity.act(now, out)
        for symbol in self.engine.books:
            out.append(self._top(symbol, now))

    def _on_tick(self, tick: PriceTick, now: int, out: Answer) -> None:
        if tick.price is not None and tick.price > 0:
            self._index[tick.asset] = tick.price

    def _on_ping(self, message: Ping, now: int, out: Answer) -> None:
        out.append(answer_ping(self.name, message, now))

    def _on_place(self, order: PlaceOrder, now: int, out: Answer) -> None:
        self.engine.place(order, now, out)

    def _on_cancel(self, request: CancelOrder, now: int, out: Answer) -> None:
        if not self.engine.cancel(request.account, request.client_order_id, now, out):
            out.append(_unknown_order(request, now))

    def _on_replace(self, request: ReplaceOrder, now: int, out: Answer) -> None:
        if self.engine.cancel(request.account, request.client_order_id, now, out, "REPLACED"):
            self.engine.place(request.order, now, out)
        else:
            out.append(_unknown_order(request, now))

    def _on_cancel_all(self, request: CancelAllOrders, now: int, out: Answer) -> None:
        self.engine.cancel_all(request.account, request.symbol, now, out)

    def _on_kill(self, request: SetKillSwitch, now: int, out: Answer) -> None:
        if request.account in self.engine.balances:
            self.engine.set_kill(request.account, request.engaged, request.reason, now, out)

    def _on_halt(self, request: HaltMarket, now: int, out: Answer) -> None:
        if request.status in (TRADING, HALT, CANCEL_ONLY):
            for symbol in request.symbols or self._universe.symbols:
                if symbol in self.engine.status:
                    self._set_status(symbol, request.status, request.reason, now, out)

    def _on_query(self, query: AccountQuery, now: int, out: Answer) -> None:
        if query.account in self.engine.balances:
            snapshot = self.engine.snapshot(query.source, query.request_id, query.account, now)
            out.append(snapshot)

    def _on_fault(self, message: Message, now: int, out: Answer) -> None:
        out += self._faults.on(message, now)

    def _begin_fault(self, fault_id: str, fault: Any, now: int) -> Sequence[Message]:
        out: Answer = []
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
                self._set_status(symbol, HALT, "VENUE_HALT", now, out)
        else:
            self._outage.begin(fault)
        return out

    def _end_fault(self, fault_id: str, fault: Any, now: int) -> Sequence[Message]:
        out: Answer = []
        if isinstance(fault, Depeg):
            self._depegs.end(fault, now)
        elif fault.mode == "liquidity":
            for symbol in fault.symbols:
                self._liquidity.factor[symbol] = 1
                self._liquidity.refresh(symbol)
        elif fault.mode == "halt":
            for symbol in fault.symbols:
                self._set_status(symbol, TRADING, "VENUE_RESUMED", now, out)
        else:
            out += self._outage.end(fault)
        return out

    def _set_status(self, symbol: str, status: str, reason: str, now: int, out: Answer) -> None:
        self.engine.status[symbol] = status
        out.append(SymbolStatusChanged(symbol, status, reason, now))

    def _refer(self, now: int) -> None:
        """Reference price of each symbol: base by quote, both in USD, as this venue sees them."""
        index = self._index
        venue = self._depegs.prices(now)
        for symbol, instrument in self.engine.instruments.items():
            base = venue.get(instrument.base) or index.get(instrument.base, 0)
            quote = index.get(instrument.quote, 0)
            if base and quote:
                self.engine.reference[symbol] = base * SCALE // quote

    def _top(self, symbol: str, now: int) -> BookTop:
        book = self.engine.books[symbol]
        bid, ask = book.best_bid, book.best_ask
        self._updates[symbol] += 1
        bid_qty = sum(o.left for o in book.bids.levels[bid].values()) if bid else 0
        ask_qty = sum(o.left for o in book.asks.levels[-ask].values()) if ask else 0
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


def _depth(keys: list[int], levels: dict[int, dict[int, Any]], worst: int) -> int:
    """Notional that rests at ``worst`` or better."""
    total = 0
    for key in reversed(keys):
        if key < worst:
            break
        qty = 0
        for order in levels[key].values():
            qty += order.left
        total += abs(key) * qty // SCALE
    return total


def _unknown_order(request: CancelOrder | ReplaceOrder, now: int) -> ExecutionReport:
    return ExecutionReport(
        request.account,
        request.client_order_id,
        0,
        request.symbol,
        "",
        "",
        "",
        0,
        0,
        "REJECTED",
        "REJECTED",
        0,
        0,
        0,
        0,
        0,
        False,
        f"UNKNOWN_ORDER {request.client_order_id}",
        now,
    )
