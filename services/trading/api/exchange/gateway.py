"""Sends orders to the exchange component and collects the execution reports that answer them. REST
and WebSocket API share it. A client is answered only after the journal entries that its answer
depends on are durable.
"""

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
from trading.exchange.filters import SIDES, STP_MODES, TIMES_IN_FORCE, TYPES, refusal
from trading.exchange.outage import FULL_OUTAGE_MODES
from trading.hosting.host import Host
from trading.hosting.inputs import BacklogFull, Unavailable
from trading.hosting.live_session import PublishedMessage
from trading.messages import Message
from trading.messages.orders import (
    CancelAllOrders,
    CancelOrder,
    ExecutionReport,
    ExecutionType,
    OrderStatus,
    OrderType,
    PlaceOrder,
    SelfTradePrevention,
    TimeInForce,
)
from trading.topology import EXCHANGE

#: Name of the projection that holds orders, fills, trades and klines.
HISTORY = "exchange/history"
#: Longest latency of an answer, wall seconds. A client that waits longer gets "status unknown".
RESPONSE_TIMEOUT = 10.0

_INVALID_SIDE = errors.BinanceError(-1117, "Invalid side.")
_INVALID_TYPE = errors.BinanceError(-1116, "Invalid orderType.")
_INVALID_TIME_IN_FORCE = errors.BinanceError(-1115, "Invalid timeInForce.")
_INVALID_STRATEGY_TYPE = errors.BinanceError(-1134, "`strategyType` was less than 1000000.")
#: Order types of Binance that this venue does not support.
_UNSUPPORTED_TYPES = ("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
#: Order type -> parameters that must not be sent with it.
_FORBIDDEN_PARAMS: dict[str, tuple[str, ...]] = {
    OrderType.LIMIT: ("quoteOrderQty", "stopPrice", "trailingDelta"),
    OrderType.LIMIT_MAKER: ("quoteOrderQty", "timeInForce", "stopPrice", "trailingDelta"),
    OrderType.MARKET: ("price", "timeInForce", "stopPrice", "trailingDelta"),
}


class ConnectionDropped(Exception):
    """The venue simulates a dead connection: close it without an answer."""


class Gateway:
    """Turns requests of clients into messages for the exchange component, and its execution reports
    into answers.

    There is one for each process that hosts the exchange. `limits` supplies the number of open
    orders that an account may have on a symbol.
    """

    def __init__(self, host: Host, limits: Limits) -> None:
        self._host = host
        self._limits = limits
        #: (account, symbol) -> orders that were sent and not yet answered.
        self._orders_in_flight: Counter[tuple[str, str]] = Counter()
        #: (account, client order id) -> for each waiting request, the reports received so far.
        self._awaited: dict[tuple[str, str], list[list[ExecutionReport]]] = {}
        host.listen(self._on_published)
        host.on_session(self._awaited.clear)

    @property
    def exchange(self) -> Exchange:
        """The exchange component of the current session. Raises Unavailable before the host has
        started.
        """
        return self._host.component(Exchange)

    @property
    def history(self) -> History:
        """Orders, fills, trades and klines of the current session."""
        return self._host.projection(History)

    def check_reachable(self) -> None:
        """Check that the venue answers at present. Raises ConnectionDropped while it plays an
        outage in which connections get no answer, BinanceError before the host has started or while
        it plays an overload.
        """
        try:
            modes = self.exchange.outage_modes
        except Unavailable as error:
            raise errors.UNAVAILABLE from error
        if not FULL_OUTAGE_MODES.isdisjoint(modes):
            raise ConnectionDropped
        if "unavailable" in modes:
            raise errors.UNAVAILABLE

    async def wait_durable(self) -> None:
        """Wait until everything decided so far is durable, so that a crash cannot take back what is
        answered next. Raises BinanceError if it cannot become durable.
        """
        try:
            await self._host.durable()
        except Unavailable as error:
            raise errors.UNAVAILABLE from error

    async def apply_latency(self) -> None:
        """Wait for the latency that a running fault imposes on answers. Raises BinanceError after
        RESPONSE_TIMEOUT if the latency is longer than that.
        """
        delay = self.delay
        if delay:
            await asyncio.sleep(min(delay, RESPONSE_TIMEOUT))
            if delay > RESPONSE_TIMEOUT:
                raise errors.STATUS_UNKNOWN

    @property
    def delay(self) -> float:
        """The latency that a running fault imposes on every answer, wall seconds; 0 without one."""
        return self.exchange.outage_delay / self._host.speed / 1e6

    async def place(self, order: PlaceOrder) -> list[ExecutionReport]:
        """Place `order` and return its execution reports up to the moment at which the exchange
        accepted it: the acknowledgement first, then its immediate fills. Raises BinanceError if it
        was rejected, or if its fate is unknown.
        """
        self._check_open_orders(order)
        key = order.account, order.symbol
        self._orders_in_flight[key] += 1
        try:
            reports = await self._execute_for_reports(order.account, order.client_order_id, order)
        finally:
            self._orders_in_flight[key] -= 1
        if not reports:
            raise errors.STATUS_UNKNOWN
        if reports[0].execution_type is ExecutionType.REJECTED:
            raise errors.rejected(reports[0].reason)
        return reports

    async def cancel(self, order: Known) -> ExecutionReport:
        """Cancel an order and return the report of its cancellation. Raises BinanceError if the
        order is no longer open, or if the result is unknown.
        """
        report = order.report
        request = CancelOrder(report.account, report.symbol, report.client_order_id)
        reports = await self._execute_for_reports(report.account, report.client_order_id, request)
        if not reports:
            raise errors.STATUS_UNKNOWN
        if reports[-1].execution_type is not ExecutionType.CANCELED:
            raise errors.UNKNOWN_ORDER
        return reports[-1]

    async def cancel_all(self, account: str, symbol: str) -> list[Known]:
        """Cancel all open orders of `account` on `symbol` and return them as they are afterwards,
        in the order in which they were placed. Raises BinanceError if there is none.
        """
        engine = self.exchange.engine
        order_ids = [o.order_id for o in engine.open[account].values() if o.symbol == symbol]
        if not order_ids:
            raise errors.UNKNOWN_ORDER
        await self._execute(CancelAllOrders(account, symbol))
        orders = (self.history.order(account, i, "") for i in order_ids)
        return [o for o in orders if o is not None and o.report.status is OrderStatus.CANCELED]

    def find(self, account: str, params: Params, prefix: str = "orig") -> Known:
        """Return the order that `orderId`, or else `{prefix}ClientOrderId`, names. Raises
        BinanceError if neither was sent, or if `account` has no such order on the requested symbol.
        """
        id_param = f"{prefix}ClientOrderId"
        if "orderId" not in params and id_param not in params:
            raise errors.neither(id_param, "orderId")
        order_id = params.integer("orderId", default=0)
        client_order_id = "" if order_id else params.client_order_id(id_param)
        order = self.history.order(account, order_id, client_order_id)
        if order is None or order.report.symbol != self.symbol(params):
            raise errors.NO_SUCH_ORDER
        return order

    def symbol(self, params: Params) -> str:
        """Return the parameter `symbol`. Raises BinanceError if it is missing or not
        traded here.
        """
        symbol = params.symbol()
        if symbol not in self.exchange.engine.instruments:
            raise errors.INVALID_SYMBOL
        return symbol

    def new_order(self, account: str, params: Params) -> PlaceOrder:
        """Return the order that `params` describe, with a random client order id if the client sent
        none. Raises BinanceError for parameters that are missing, invalid or not allowed with the
        order type.
        """
        symbol = self.symbol(params)
        side = params.choice("side", SIDES, _INVALID_SIDE)
        order_type = params.text("type")
        if order_type not in TYPES:
            raise (
                errors.unsupported_type(order_type)
                if order_type in _UNSUPPORTED_TYPES
                else _INVALID_TYPE
            )
        qty = price = quote_qty = 0
        time_in_force: str = TimeInForce.GTC
        if order_type == OrderType.LIMIT:
            time_in_force = params.choice("timeInForce", TIMES_IN_FORCE, _INVALID_TIME_IN_FORCE)
        if order_type != OrderType.MARKET:
            qty, price = params.units("quantity"), params.units("price")
        elif "quantity" in params:
            if "quoteOrderQty" in params:
                raise errors.BAD_COMBINATION
            qty = params.units("quantity")
        elif "quoteOrderQty" in params:
            quote_qty = params.units("quoteOrderQty")
        else:
            raise errors.neither("quantity", "quoteOrderQty")
        for name in _FORBIDDEN_PARAMS[order_type]:
            if name in params:
                raise errors.not_required(name)
        if "icebergQty" in params:
            raise errors.NO_ICEBERGS
        if params.integer("strategyType", default=1_000_000) < 1_000_000:
            raise _INVALID_STRATEGY_TYPE
        stp = params.optional("selfTradePreventionMode", SelfTradePrevention.EXPIRE_MAKER)
        if stp not in STP_MODES:
            raise errors.out_of_range("selfTradePreventionMode")
        if price > MAX_PRICE:
            raise errors.filter_failure("PRICE_FILTER")
        if qty > MAX_QTY:
            market = order_type == OrderType.MARKET
            raise errors.filter_failure("MARKET_LOT_SIZE" if market else "LOT_SIZE")
        client_order_id = (
            params.client_order_id("newClientOrderId")
            if "newClientOrderId" in params
            else secrets.token_hex(11)
        )
        return PlaceOrder(
            account,
            client_order_id,
            symbol,
            side,
            order_type,
            qty,
            price,
            time_in_force,
            quote_qty,
            stp,
        )

    def check_filters(self, order: PlaceOrder) -> None:
        """Raise BinanceError if `order` would fail the symbol's filters. The order is
        not placed.
        """
        engine = self.exchange.engine
        reason = refusal(order, engine.instruments[order.symbol], engine.reference[order.symbol])
        if reason:
            raise errors.rejected(reason)

    def _check_open_orders(self, order: PlaceOrder) -> None:
        limit = self._limits.open_orders
        open_orders = self.exchange.engine.open[order.account]
        in_flight = self._orders_in_flight[order.account, order.symbol]
        if len(open_orders) + in_flight < limit:
            return
        if in_flight + sum(o.symbol == order.symbol for o in open_orders.values()) >= limit:
            raise errors.filter_failure("MAX_NUM_ORDERS")

    async def _execute_for_reports(
        self, account: str, client_order_id: str, request: PlaceOrder | CancelOrder
    ) -> list[ExecutionReport]:
        """Execute `request` and return the execution reports of that order that were published
        meanwhile. Requests that wait for the same order each get all of its reports.
        """
        key = (account, client_order_id)
        reports: list[ExecutionReport] = []
        self._awaited.setdefault(key, []).append(reports)
        try:
            await self._execute(request)
        finally:
            waiting = self._awaited.get(key, [])
            waiting[:] = [x for x in waiting if x is not reports]
            if not waiting:
                self._awaited.pop(key, None)
        return reports

    async def _execute(self, command: Message) -> None:
        """Send `command` to the exchange and wait until it has been executed and is durable. Raises
        BinanceError if it was not taken, or if its fate is unknown.
        """
        try:
            ticket = self._host.command(EXCHANGE, command)
        except BacklogFull as error:
            raise errors.UNAVAILABLE from error
        try:
            await self._host.committed(ticket)
        except Unavailable as error:
            raise errors.STATUS_UNKNOWN from error

    def _on_published(self, published: Sequence[PublishedMessage]) -> None:
        if not self._awaited:
            return
        for message, _ in published:
            if isinstance(message, ExecutionReport):
                for reports in self._awaited.get((message.account, message.client_order_id), ()):
                    reports.append(message)
