"""Orders into the venue and its answers out: what REST and WebSocket API share."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Sequence

from trading.api.exchange import errors
from trading.api.exchange.history import History, Known
from trading.api.exchange.info import MAX_PRICE, MAX_QTY
from trading.api.exchange.limits import Limits
from trading.api.exchange.params import Params
from trading.exchange import Exchange
from trading.exchange.filters import STP_MODES, TIMES_IN_FORCE, TYPES, refusal
from trading.exchange.outage import DARK
from trading.hosting.host import Host
from trading.hosting.inputs import Refused, Unavailable
from trading.hosting.live import Published
from trading.messages import Message
from trading.messages.orders import (
    CancelAllOrders,
    CancelOrder,
    ExecutionReport,
    PlaceOrder,
)
from trading.topology import EXCHANGE

HISTORY = "exchange/history"
#: How long a client waits for an answer before it is told that nobody knows, wall seconds.
PATIENCE = 10.0

_WRONG_SIDE = errors.BinanceError(-1117, "Invalid side.")
_WRONG_TYPE = errors.BinanceError(-1116, "Invalid orderType.")
_WRONG_TIME = errors.BinanceError(-1115, "Invalid timeInForce.")
_WRONG_STRATEGY = errors.BinanceError(-1134, "`strategyType` was less than 1000000.")
#: What Binance has and this venue does not.
_OTHER_TYPES = ("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
_UNWANTED = {
    "LIMIT": ("quoteOrderQty", "stopPrice", "trailingDelta"),
    "LIMIT_MAKER": ("quoteOrderQty", "timeInForce", "stopPrice", "trailingDelta"),
    "MARKET": ("price", "timeInForce", "stopPrice", "trailingDelta"),
}


class Dropped(Exception):
    """The venue plays dead: the connection is to be closed without an answer."""


class Gateway:
    """One for each process that hosts the exchange. Answers are durable when they are given."""

    def __init__(self, host: Host, limits: Limits) -> None:
        self._host = host
        self._limits = limits
        self._placing: Counter[tuple[str, str]] = Counter()
        self._expecting: dict[tuple[str, str], list[list[ExecutionReport]]] = {}
        host.listen(self._hear)
        host.on_session(self._expecting.clear)

    @property
    def exchange(self) -> Exchange:
        exchange: Exchange = self._host.component(EXCHANGE)
        return exchange

    @property
    def history(self) -> History:
        history: History = self._host.projection(HISTORY)
        return history

    def check_reachable(self) -> None:
        """Raises Dropped or BinanceError while an outage is played, or before the start."""
        try:
            modes = self.exchange.outage_modes
        except Unavailable as error:
            raise errors.UNAVAILABLE from error
        if not DARK.isdisjoint(modes):
            raise Dropped
        if "unavailable" in modes:
            raise errors.UNAVAILABLE

    async def durable(self) -> None:
        """What is answered next may be relied upon."""
        try:
            await self._host.durable()
        except Unavailable as error:
            raise errors.UNAVAILABLE from error

    async def be_slow(self) -> None:
        """While the venue is slow: wait. Raises BinanceError when nobody would any longer."""
        delay = self.delay
        if delay:
            await asyncio.sleep(min(delay, PATIENCE))
            if delay > PATIENCE:
                raise errors.STATUS_UNKNOWN

    @property
    def delay(self) -> float:
        """How late every answer is now, wall seconds."""
        return self.exchange.outage_delay / self._host.speed / 1e6

    async def place(self, order: PlaceOrder) -> list[ExecutionReport]:
        """All reports of the moment in which it was taken. Raises BinanceError if it was not."""
        self._check_open_orders(order)
        key = order.account, order.symbol
        self._placing[key] += 1
        try:
            reports = await self._reports(order.account, order.client_order_id, order)
        finally:
            self._placing[key] -= 1
        if not reports:
            raise errors.STATUS_UNKNOWN
        if reports[0].execution_type == "REJECTED":
            raise errors.rejected(reports[0].reason)
        return reports

    async def cancel(self, known: Known) -> ExecutionReport:
        report = known.report
        request = CancelOrder(report.account, report.symbol, report.client_order_id)
        reports = await self._reports(report.account, report.client_order_id, request)
        if not reports:
            raise errors.STATUS_UNKNOWN
        if reports[-1].execution_type != "CANCELED":
            raise errors.UNKNOWN_ORDER
        return reports[-1]

    async def cancel_all(self, account: str, symbol: str) -> list[Known]:
        """The orders that were cancelled. Raises BinanceError if there is none."""
        engine = self.exchange.engine
        ids = [o.order_id for o in engine.open[account].values() if o.symbol == symbol]
        if not ids:
            raise errors.UNKNOWN_ORDER
        await self._done(CancelAllOrders(account, symbol))
        found = (self.history.order(account, i, "") for i in ids)
        return [k for k in found if k is not None and k.report.status == "CANCELED"]

    def find(self, account: str, params: Params, prefix: str = "orig") -> Known:
        """By ``orderId`` or ``origClientOrderId``. Raises BinanceError."""
        name = f"{prefix}ClientOrderId"
        if "orderId" not in params and name not in params:
            raise errors.neither(name, "orderId")
        order_id = params.integer("orderId", default=0)
        client_order_id = "" if order_id else params.client_order_id(name)
        known = self.history.order(account, order_id, client_order_id)
        if known is None or known.report.symbol != self.symbol(params):
            raise errors.NO_SUCH_ORDER
        return known

    def symbol(self, params: Params) -> str:
        symbol = params.symbol()
        if symbol not in self.exchange.engine.instruments:
            raise errors.INVALID_SYMBOL
        return symbol

    def new_order(self, account: str, params: Params) -> PlaceOrder:
        """Raises BinanceError for parameters that are missing, wrong or too many."""
        symbol = self.symbol(params)
        side = params.choice("side", ("BUY", "SELL"), _WRONG_SIDE)
        kind = params.text("type")
        if kind not in TYPES:
            raise errors.unsupported_type(kind) if kind in _OTHER_TYPES else _WRONG_TYPE
        qty = price = quote_qty = 0
        time_in_force = "GTC"
        if kind == "LIMIT":
            time_in_force = params.choice("timeInForce", TIMES_IN_FORCE, _WRONG_TIME)
        if kind != "MARKET":
            qty, price = params.units("quantity"), params.units("price")
        elif "quantity" in params:
            if "quoteOrderQty" in params:
                raise errors.BAD_COMBINATION
            qty = params.units("quantity")
        elif "quoteOrderQty" in params:
            quote_qty = params.units("quoteOrderQty")
        else:
            raise errors.neither("quantity", "quoteOrderQty")
        for name in _UNWANTED[kind]:
            if name in params:
                raise errors.not_required(name)
        if "icebergQty" in params:
            raise errors.NO_ICEBERGS
        if params.integer("strategyType", default=1_000_000) < 1_000_000:
            raise _WRONG_STRATEGY
        stp = params.optional("selfTradePreventionMode", "EXPIRE_MAKER")
        if stp not in STP_MODES:
            raise errors.out_of_range("selfTradePreventionMode")
        if price > MAX_PRICE:
            raise errors.filter_failure("PRICE_FILTER")
        if qty > MAX_QTY:
            raise errors.filter_failure("MARKET_LOT_SIZE" if kind == "MARKET" else "LOT_SIZE")
        client_order_id = (
            params.client_order_id("newClientOrderId")
            if "newClientOrderId" in params
            else secrets.token_hex(11)
        )
        return PlaceOrder(
            account, client_order_id, symbol, side, kind, qty, price, time_in_force, quote_qty, stp
        )

    def check_filters(self, order: PlaceOrder) -> None:
        """Of an order that will not be placed. Raises BinanceError."""
        engine = self.exchange.engine
        reason = refusal(order, engine.instruments[order.symbol], engine.reference[order.symbol])
        if reason:
            raise errors.rejected(reason)

    def _check_open_orders(self, order: PlaceOrder) -> None:
        limit = self._limits.open_orders
        opened = self.exchange.engine.open[order.account]
        placing = self._placing[order.account, order.symbol]
        if len(opened) + placing < limit:
            return
        if placing + sum(o.symbol == order.symbol for o in opened.values()) >= limit:
            raise errors.filter_failure("MAX_NUM_ORDERS")

    async def _reports(
        self, account: str, client_order_id: str, request: PlaceOrder | CancelOrder
    ) -> list[ExecutionReport]:
        key = (account, client_order_id)
        found: list[ExecutionReport] = []
        self._expecting.setdefault(key, []).append(found)
        try:
            await self._done(request)
        finally:
            expecting = self._expecting.get(key, [])
            expecting[:] = [x for x in expecting if x is not found]
            if not expecting:
                self._expecting.pop(key, None)
        return found

    async def _done(self, command: Message) -> None:
        """Wait until the exchange has done what a client wants, and it is durable. Raises
        BinanceError.
        """
        try:
            ticket = self._host.command(EXCHANGE, command)
        except Refused as error:
            raise errors.UNAVAILABLE from error
        try:
            await self._host.settled(ticket)
        except Unavailable as error:
            raise errors.STATUS_UNKNOWN from error

    def _hear(self, published: Sequence[Published]) -> None:
        if not self._expecting:
            return
        for message, _ in published:
            if isinstance(message, ExecutionReport):
                for found in self._expecting.get((message.account, message.client_order_id), ()):
                    found.append(message)
