"""What an account may ask and do: orders, balances, its own trades."""

import secrets
from typing import Any

from trading.api.exchange import errors, formats
from trading.api.exchange.formats import JSON, decimal, stamp
from trading.api.exchange.gateway import Gateway
from trading.api.exchange.history import Known
from trading.api.exchange.info import order_limits
from trading.api.exchange.limits import Limits
from trading.api.exchange.params import Params
from trading.units import DAY

_KINDS = ("ACK", "RESULT", "FULL")
_OPEN = ("NEW", "PARTIALLY_FILLED")
#: ``cancelRestrictions`` -> the status that an order must have.
_RESTRICTIONS = {"ONLY_NEW": "NEW", "ONLY_PARTIALLY_FILLED": "PARTIALLY_FILLED"}
_FOREVER = 2**60


class Account:
    """Its methods answer signed requests: account name and parameters to JSON."""

    def __init__(self, gateway: Gateway, limits: Limits) -> None:
        self._gateway = gateway
        self._limits = limits

    async def new_order(self, account: str, params: Params) -> JSON:
        order = self._gateway.new_order(account, params)
        default = "ACK" if order.type == "LIMIT_MAKER" else "FULL"
        kind = params.optional("newOrderRespType", default)
        if kind not in _KINDS:
            raise errors.out_of_range("newOrderRespType")
        reports = await self._gateway.place(order)
        return formats.new_order(reports, kind, order.stp)

    async def test_order(self, account: str, params: Params) -> JSON:
        """Checks parameters and filters; nothing reaches the book."""
        order = self._gateway.new_order(account, params)
        self._gateway.check_filters(order)
        if not params.flag("computeCommissionRates"):
            return {}
        return {k: v for k, v in _commission(order.symbol).items() if k != "symbol"}

    async def cancel_order(self, account: str, params: Params) -> JSON:
        known = self._find_open(account, params)
        if "cancelRestrictions" in params:
            wanted = params.choice("cancelRestrictions", _RESTRICTIONS, errors.BAD_RESTRICTIONS)
            if known.report.status != _RESTRICTIONS[wanted]:
                raise errors.RESTRICTED
        request_id = (
            params.client_order_id("newClientOrderId")
            if "newClientOrderId" in params
            else secrets.token_hex(11)
        )
        return formats.cancelled(await self._gateway.cancel(known), request_id)

    async def cancel_open_orders(self, account: str, params: Params) -> list[JSON]:
        symbol = self._gateway.symbol(params)
        gone = await self._gateway.cancel_all(account, symbol)
        return [formats.cancelled(k.report, secrets.token_hex(11)) for k in gone]

    async def order(self, account: str, params: Params) -> JSON:
        await self._gateway.durable()
        return formats.order(self._gateway.find(account, params))

    async def open_orders(self, account: str, params: Params) -> list[JSON]:
        await self._gateway.durable()
        symbol = self._gateway.symbol(params) if "symbol" in params else ""
        history = self._gateway.history
        ids = [
            o.order_id
            for o in self._gateway.exchange.engine.open[account].values()
            if symbol in ("", o.symbol)
        ]
        found = (history.order(account, i, "") for i in ids)
        return [formats.order(k) for k in found if k is not None]

    async def all_orders(self, account: str, params: Params) -> list[JSON]:
        await self._gateway.durable()
        known = self._gateway.history.orders_of(account, self._gateway.symbol(params))
        limit = params.limit()
        first, last = _period(params)
        known = [k for k in known if first <= k.since <= last]
        if "orderId" in params:
            order_id = params.integer("orderId")
            known = [k for k in known if k.report.order_id >= order_id]
        if "orderId" in params or "startTime" in params:
            known = known[:limit]
        return [formats.order(k) for k in known[-limit:]]

    async def my_trades(self, account: str, params: Params) -> list[JSON]:
        await self._gateway.durable()
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
        await self._gateway.durable()
        engine = self._gateway.exchange.engine
        balances = engine.balances[account]
        everything = not params.flag("omitZeroBalances")
        listed: list[Any] = [
            {"asset": asset, "free": decimal(free), "locked": decimal(balances.locked[asset])}
            for asset, free in balances.free.items()
            if everything or free or balances.locked[asset]
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
            "updateTime": stamp(self._newest(account)),
            "accountType": "SPOT",
            "balances": listed,
            "permissions": ["SPOT"],
            "uid": 1 + list(engine.balances).index(account),
        }

    async def commission(self, account: str, params: Params) -> JSON:
        return _commission(self._gateway.symbol(params))

    async def order_counts(self, account: str, params: Params) -> list[JSON]:
        counts = self._limits.counts(account)
        return [{**x, "count": n} for x, n in zip(order_limits(self._limits), counts, strict=True)]

    async def prevented_matches(self, account: str, params: Params) -> list[JSON]:
        """Self-trade prevention expires orders and keeps no list."""
        self._gateway.symbol(params)
        return []

    def _newest(self, account: str) -> int:
        fills = self._gateway.history.fills[account]
        return fills[-1].time if fills else 0

    def _find_open(self, account: str, params: Params) -> Known:
        try:
            known = self._gateway.find(account, params)
        except errors.BinanceError as error:
            if error is errors.NO_SUCH_ORDER:
                raise errors.UNKNOWN_ORDER from error
            raise
        if known.report.status not in _OPEN:
            raise errors.UNKNOWN_ORDER
        return known


def _period(params: Params) -> tuple[int, int]:
    """``startTime`` and ``endTime``. Raises BinanceError if a day or more is between them."""
    first, last = params.time("startTime", 0), params.time("endTime", _FOREVER)
    if "startTime" in params and "endTime" in params and last - first > DAY:
        raise errors.TOO_LONG
    return first, last


def _commission(symbol: str) -> JSON:
    nothing = dict.fromkeys(("maker", "taker", "buyer", "seller"), decimal(0))
    discount = {"enabledForAccount": False, "enabledForSymbol": False, "discountAsset": "BNB"}
    return {
        "symbol": symbol,
        "standardCommission": nothing,
        "specialCommission": nothing,
        "taxCommission": nothing,
        "discount": {**discount, "discount": decimal(0)},
    }
