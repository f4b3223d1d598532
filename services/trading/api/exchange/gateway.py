"""Orders into the venue and its answers out: what REST and WebSocket API share."""

import asyncio
import secrets
from collections.abc import Sequence

from trading.api.exchange import errors
from trading.api.exchange.history import History, Known
from trading.api.exchange.params import Params
from trading.exchange import Exchange
from trading.exchange.filters import STP_MODES, TIMES_IN_FORCE, TYPES
from trading.exchange.outage import DARK
from trading.hosting.host import Host, Unavailable
from trading.hosting.live import Published
from trading.messages.orders import (
    CancelAllOrders,
    CancelOrder,
    ExecutionReport,
    PlaceOrder,
)
from trading.topology import EXCHANGE

HISTORY = "exchange/history"

_WRONG_SIDE = errors.BinanceError(-1117, "Invalid side.")
_WRONG_TYPE = errors.BinanceError(-1116, "Invalid orderType.")
_WRONG_TIME = errors.BinanceError(-1115, "Invalid timeInForce.")


class Dropped(Exception):
    """The venue plays dead: the connection is to be closed without an answer."""


class Gateway:
    """One for each process that hosts the exchange. Answers are durable when they are given."""

    def __init__(self, host: Host) -> None:
        self._host = host
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
        """Raises Dropped or BinanceError while an outage is played."""
        modes = self.exchange.outage_modes
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

    async def sleep(self, simulated: int) -> None:
        """Wait for ``simulated`` microseconds to go by."""
        await asyncio.sleep(simulated / self._host.clock.speed / 1e6)

    async def place(self, order: PlaceOrder) -> list[ExecutionReport]:
        """All reports of the moment in which it was taken. Raises BinanceError if it was not."""
        reports = await self._reports(order.account, order.client_order_id, order)
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
        await self._settled(self._host.send(EXCHANGE, CancelAllOrders(account, symbol)))
        found = (self.history.order(account, i, "") for i in ids)
        return [k for k in found if k is not None and k.report.status == "CANCELED"]

    def find(self, account: str, params: Params, prefix: str = "orig") -> Known:
        """By ``orderId`` or ``origClientOrderId``. Raises BinanceError."""
        name = f"{prefix}ClientOrderId"
        if "orderId" not in params and name not in params:
            raise errors.BinanceError(
                -1102,
                f"Param '{name}' or 'orderId' must be sent, but both were empty/null!",
            )
        order_id = params.integer("orderId", default=0)
        client_order_id = "" if order_id else params.client_order_id(name)
        known = self.history.order(account, order_id, client_order_id)
        if known is None or known.report.symbol != self.symbol(params):
            raise errors.NO_SUCH_ORDER
        return known

    def symbol(self, params: Params) -> str:
        symbol = params.text("symbol")
        if symbol not in self.exchange.engine.instruments:
            raise errors.INVALID_SYMBOL
        return symbol

    def new_order(self, account: str, params: Params) -> PlaceOrder:
        """Raises BinanceError for parameters that are missing, wrong or too many."""
        symbol = self.symbol(params)
        side = params.choice("side", ("BUY", "SELL"), _WRONG_SIDE)
        kind = params.choice("type", TYPES, _WRONG_TYPE)
        qty = price = quote_qty = 0
        unwanted: tuple[str, ...]
        time_in_force = "GTC"
        if kind == "MARKET":
            if ("quantity" in params) == ("quoteOrderQty" in params):
                raise errors.missing("quantity")
            if "quantity" in params:
                qty = params.units("quantity")
            else:
                quote_qty = params.units("quoteOrderQty")
            unwanted = ("price", "timeInForce")
        else:
            qty, price = params.units("quantity"), params.units("price")
            if kind == "LIMIT":
                time_in_force = params.choice("timeInForce", TIMES_IN_FORCE, _WRONG_TIME)
            unwanted = ("quoteOrderQty",) if kind == "LIMIT" else ("quoteOrderQty", "timeInForce")
        for name in unwanted:
            if name in params:
                raise errors.not_required(name)
        stp = params.optional("selfTradePreventionMode", "EXPIRE_MAKER")
        if stp not in STP_MODES:
            raise errors.out_of_range("selfTradePreventionMode")
        client_order_id = (
            params.client_order_id("newClientOrderId")
            if "newClientOrderId" in params
            else secrets.token_hex(11)
        )
        return PlaceOrder(
            account, client_order_id, symbol, side, kind, qty, price, time_in_force, quote_qty, stp
        )

    async def _reports(
        self, account: str, client_order_id: str, request: PlaceOrder | CancelOrder
    ) -> list[ExecutionReport]:
        key = (account, client_order_id)
        found: list[ExecutionReport] = []
        self._expecting.setdefault(key, []).append(found)
        try:
            await self._settled(self._host.send(EXCHANGE, request))
        finally:
            expecting = self._expecting.get(key, [])
            expecting[:] = [x for x in expecting if x is not found]
            if not expecting:
                self._expecting.pop(key, None)
        return found

    async def _settled(self, at: int) -> None:
        try:
            await self._host.settled(at)
        except Unavailable as error:
            raise errors.STATUS_UNKNOWN from error

    def _hear(self, published: Sequence[Published]) -> None:
        if not self._expecting:
            return
        for message, _ in published:
            if isinstance(message, ExecutionReport):
                for found in self._expecting.get((message.account, message.client_order_id), ()):
                    found.append(message)
