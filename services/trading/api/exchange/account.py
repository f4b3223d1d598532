"""What an account may ask and do: orders, balances, its own trades."""

import secrets
from typing import Any

from trading.api.exchange import errors, formats
from trading.api.exchange.formats import JSON, decimal, ms
from trading.api.exchange.gateway import Gateway
from trading.api.exchange.params import Params

_KINDS = ("ACK", "RESULT", "FULL")
_OPEN = ("NEW", "PARTIALLY_FILLED")


class Account:
    """Its methods answer signed requests: account name and parameters to JSON."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def new_order(self, account: str, params: Params) -> JSON:
        order = self._gateway.new_order(account, params)
        default = "ACK" if order.type == "LIMIT_MAKER" else "FULL"
        kind = params.optional("newOrderRespType", default)
        if kind not in _KINDS:
            raise errors.out_of_range("newOrderRespType")
        reports = await self._gateway.place(order)
        return formats.new_order(reports, kind, order.stp)

    async def test_order(self, account: str, params: Params) -> JSON:
        """Checks the parameters; nothing reaches the book."""
        self._gateway.new_order(account, params)
        return {}

    async def cancel_order(self, account: str, params: Params) -> JSON:
        known = self._find_open(account, params)
        report = await self._gateway.cancel(known)
        request_id = params.optional("newClientOrderId", secrets.token_hex(11))
        return formats.cancelled(report, request_id)

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
        limit = params.integer("limit", default=500, low=1, high=1000)
        first = params.integer("startTime", default=0) * 1000
        last = params.integer("endTime", default=2**50) * 1000
        known = [k for k in known if first <= k.since <= last]
        if "orderId" in params:
            order_id = params.integer("orderId")
            known = [k for k in known if k.report.order_id >= order_id][:limit]
        return [formats.order(k) for k in known[-limit:]]

    async def my_trades(self, account: str, params: Params) -> list[JSON]:
        await self._gateway.durable()
        symbol = self._gateway.symbol(params)
        limit = params.integer("limit", default=500, low=1, high=1000)
        fills = [f for f in self._gateway.history.fills[account] if f.symbol == symbol]
        first = params.integer("startTime", default=0) * 1000
        last = params.integer("endTime", default=2**50) * 1000
        fills = [f for f in fills if first <= f.time <= last]
        if "orderId" in params:
            order_id = params.integer("orderId")
            fills = [f for f in fills if f.order_id == order_id]
        if "fromId" in params:
            trade_id = params.integer("fromId")
            fills = [f for f in fills if f.trade_id >= trade_id][:limit]
        return [formats.my_trade(f) for f in fills[-limit:]]

    async def account(self, account: str, params: Params) -> JSON:
        await self._gateway.durable()
        engine = self._gateway.exchange.engine
        balances = engine.balances[account]
        everything = params.optional("omitZeroBalances", "false") != "true"
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
            "updateTime": ms(self._newest(account)),
            "accountType": "SPOT",
            "balances": listed,
            "permissions": ["SPOT"],
            "uid": 1 + list(engine.balances).index(account),
        }

    def _newest(self, account: str) -> int:
        fills = self._gateway.history.fills[account]
        return fills[-1].time if fills else 0

    def _find_open(self, account: str, params: Params) -> Any:
        try:
            known = self._gateway.find(account, params)
        except errors.BinanceError as error:
            raise (errors.UNKNOWN_ORDER if error is errors.NO_SUCH_ORDER else error) from error
        if known.report.status not in _OPEN:
            raise errors.UNKNOWN_ORDER
        return known
