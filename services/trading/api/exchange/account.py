"""The endpoints of an account: placing and cancelling orders, and reading orders, fills and
balances.
"""

import secrets
from typing import Any

from trading.api.exchange import errors, formats
from trading.api.exchange.formats import JSON, decimal, stamp
from trading.api.exchange.gateway import Gateway
from trading.api.exchange.history import Known
from trading.api.exchange.info import order_limits
from trading.api.exchange.limits import Limits
from trading.api.exchange.params import Params
from trading.messages.orders import OPEN_STATUSES, OrderStatus, OrderType
from trading.units import DAY

_RESPONSE_TYPES = ("ACK", "RESULT", "FULL")
#: `cancelRestrictions` -> the status that the order must have.
_RESTRICTIONS = {
    "ONLY_NEW": OrderStatus.NEW,
    "ONLY_PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
}
#: End of a period that has none, microseconds.
_FOREVER = 2**60


class Account:
    """Answers signed requests: each method takes the account's name and the parameters, returns
    what is encoded as JSON, and raises BinanceError. Before a method reads, it waits until what it
    reads is durable.
    """

    def __init__(self, gateway: Gateway, limits: Limits) -> None:
        self._gateway = gateway
        self._limits = limits

    async def new_order(self, account: str, params: Params) -> JSON:
        """Answer `POST /api/v3/order`: place an order."""
        order = self._gateway.new_order(account, params)
        default = "ACK" if order.type == OrderType.LIMIT_MAKER else "FULL"
        response_type = params.optional("newOrderRespType", default)
        if response_type not in _RESPONSE_TYPES:
            raise errors.out_of_range("newOrderRespType")
        reports = await self._gateway.place(order)
        return formats.new_order(reports, response_type, order.stp)

    async def test_order(self, account: str, params: Params) -> JSON:
        """Answer `POST /api/v3/order/test`: check an order's parameters and filters without placing
        it.
        """
        order = self._gateway.new_order(account, params)
        self._gateway.check_filters(order)
        if not params.flag("computeCommissionRates"):
            return {}
        return {k: v for k, v in _commission(order.symbol).items() if k != "symbol"}

    async def cancel_order(self, account: str, params: Params) -> JSON:
        """Answer `DELETE /api/v3/order`: cancel an order."""
        order = self._find_open(account, params)
        if "cancelRestrictions" in params:
            restriction = params.choice(
                "cancelRestrictions", _RESTRICTIONS, errors.BAD_RESTRICTIONS
            )
            if order.report.status != _RESTRICTIONS[restriction]:
                raise errors.RESTRICTED
        request_id = (
            params.client_order_id("newClientOrderId")
            if "newClientOrderId" in params
            else secrets.token_hex(11)
        )
        return formats.cancelled(await self._gateway.cancel(order), request_id)

    async def cancel_open_orders(self, account: str, params: Params) -> list[JSON]:
        """Answer `DELETE /api/v3/openOrders`: cancel all open orders on a symbol."""
        symbol = self._gateway.symbol(params)
        cancelled = await self._gateway.cancel_all(account, symbol)
        return [formats.cancelled(o.report, secrets.token_hex(11)) for o in cancelled]

    async def order(self, account: str, params: Params) -> JSON:
        """Answer `GET /api/v3/order`: one order."""
        await self._gateway.wait_durable()
        return formats.order(self._gateway.find(account, params))

    async def open_orders(self, account: str, params: Params) -> list[JSON]:
        """Answer `GET /api/v3/openOrders`: the open orders, on one symbol or on all."""
        await self._gateway.wait_durable()
        symbol = self._gateway.symbol(params) if "symbol" in params else ""
        history = self._gateway.history
        order_ids = [
            o.order_id
            for o in self._gateway.exchange.engine.open[account].values()
            if symbol in ("", o.symbol)
        ]
        orders = (history.order(account, i, "") for i in order_ids)
        return [formats.order(o) for o in orders if o is not None]

    async def all_orders(self, account: str, params: Params) -> list[JSON]:
        """Answer `GET /api/v3/allOrders`: the newest orders on a symbol, or the first from
        `orderId` or `startTime` on.
        """
        await self._gateway.wait_durable()
        orders = self._gateway.history.orders_of(account, self._gateway.symbol(params))
        limit = params.limit()
        first, last = _period(params)
        orders = [o for o in orders if first <= o.since <= last]
        if "orderId" in params:
            order_id = params.integer("orderId")
            orders = [o for o in orders if o.report.order_id >= order_id]
        if "orderId" in params or "startTime" in params:
            orders = orders[:limit]
        return [formats.order(o) for o in orders[-limit:]]

    async def my_trades(self, account: str, params: Params) -> list[JSON]:
        """Answer `GET /api/v3/myTrades`: the newest fills on a symbol, or the first from `fromId`
        or `startTime` on.
        """
        await self._gateway.wait_durable()
        symbol = self._gateway.symbol(params)
        limit = params.limit()
        fills = [f for f in self._gateway.history.fills[account] if f.symbol == symbol]
        first, last = _period(params)
        if "fromId" in params and ("startTime" in params or "endTime" in params):
            raise errors.BAD_COMBINATION
        fills = [f for f in fills if first <= f.time <= last]
        if "orderId" in params:
            order_id = params.integer("orderId")
            fills = [f for f in fills if f.order_id == order_id]
        if "fromId" in params:
            trade_id = params.integer("fromId")
            fills = [f for f in fills if f.trade_id >= trade_id]
        if "fromId" in params or "startTime" in params:
            fills = fills[:limit]
        return [formats.my_trade(f) for f in fills[-limit:]]

    async def account(self, account: str, params: Params) -> JSON:
        """Answer `GET /api/v3/account`: permissions and balances."""
        await self._gateway.wait_durable()
        engine = self._gateway.exchange.engine
        balances = engine.balances[account]
        with_zeros = not params.flag("omitZeroBalances")
        listed: list[Any] = [
            {"asset": asset, "free": decimal(free), "locked": decimal(balances.locked[asset])}
            for asset, free in balances.free.items()
            if with_zeros or free or balances.locked[asset]
        ]
        rates = dict.fromkeys(("maker", "taker", "buyer", "seller"), decimal(0))
        return {
            "makerCommission": 0,
            "takerCommission": 0,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": rates,
            "canTrade": account not in engine.killed,
            "canWithdraw": False,
            "canDeposit": False,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": stamp(self._last_fill_time(account)),
            "accountType": "SPOT",
            "balances": listed,
            "permissions": ["SPOT"],
            "uid": 1 + list(engine.balances).index(account),
        }

    async def commission(self, account: str, params: Params) -> JSON:
        """Answer `GET /api/v3/account/commission`: the rates, which are all 0."""
        return _commission(self._gateway.symbol(params))

    async def order_counts(self, account: str, params: Params) -> list[JSON]:
        """Answer `GET /api/v3/rateLimit/order`: orders counted in the current windows."""
        counts = self._limits.order_counts(account)
        return [{**x, "count": n} for x, n in zip(order_limits(self._limits), counts, strict=True)]

    async def prevented_matches(self, account: str, params: Params) -> list[JSON]:
        """Answer `GET /api/v3/myPreventedMatches` with an empty list: self-trade prevention expires
        orders and keeps no list of them.
        """
        self._gateway.symbol(params)
        return []

    def _last_fill_time(self, account: str) -> int:
        fills = self._gateway.history.fills[account]
        return fills[-1].time if fills else 0

    def _find_open(self, account: str, params: Params) -> Known:
        """Return the open order that the parameters name. Raises BinanceError; for a cancellation
        the error is another one than for a query.
        """
        try:
            order = self._gateway.find(account, params)
        except errors.BinanceError as error:
            if error is errors.NO_SUCH_ORDER:
                raise errors.UNKNOWN_ORDER from error
            raise
        if order.report.status not in OPEN_STATUSES:
            raise errors.UNKNOWN_ORDER
        return order


def _period(params: Params) -> tuple[int, int]:
    """Return `startTime` and `endTime` in microseconds, by default unlimited. Raises BinanceError
    if both were sent and are more than a day apart.
    """
    first, last = params.time("startTime", 0), params.time("endTime", _FOREVER)
    if "startTime" in params and "endTime" in params and last - first > DAY:
        raise errors.TOO_LONG
    return first, last


def _commission(symbol: str) -> JSON:
    no_commission = dict.fromkeys(("maker", "taker", "buyer", "seller"), decimal(0))
    discount = {"enabledForAccount": False, "enabledForSymbol": False, "discountAsset": "BNB"}
    return {
        "symbol": symbol,
        "standardCommission": no_commission,
        "specialCommission": no_commission,
        "taxCommission": no_commission,
        "discount": {**discount, "discount": decimal(0)},
    }
