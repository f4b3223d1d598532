"""Converts the venue's records into the JSON of Binance's API: amounts become decimal strings with
eight decimals, times become milliseconds or microseconds.
"""

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from trading.api.exchange import errors
from trading.api.exchange.history import Fill, Kline, Known
from trading.messages.orders import (
    BUY,
    OPEN_STATUSES,
    ExecutionReport,
    ExecutionType,
    SelfTradePrevention,
    TimeInForce,
    Trade,
)

JSON = dict[str, Any]

#: Whether the client that is answered at present asked for times in microseconds.
microseconds: ContextVar[bool] = ContextVar("microseconds", default=False)


def decimal(units: int) -> str:
    """Return an amount in units of 1e-8 as a string with eight decimals."""
    sign = "-" if units < 0 else ""
    whole, rest = divmod(abs(units), 100_000_000)
    return f"{sign}{whole}.{rest:08d}"


def in_microseconds(unit: str) -> bool:
    """Return whether `unit`, the header `X-MBX-TIME-UNIT` or the parameter `timeUnit`, asks for
    microseconds; empty if it was not sent. Raises BinanceError for an unknown unit.
    """
    if not unit:
        return False
    if unit.upper() not in ("MICROSECOND", "MILLISECOND"):
        raise errors.INVALID_TIME_UNIT
    return unit.upper() == "MICROSECOND"


def stamp(us: int) -> int:
    """Return a time in microseconds as the client gets it: in milliseconds unless it asked for
    microseconds.
    """
    return us if microseconds.get() else us // 1000


def order(tracked: Known) -> JSON:
    """Return an order as `GET /api/v3/order` does."""
    report = tracked.report
    return {
        **_identity(report),
        **_progress(report),
        "stopPrice": decimal(0),
        "icebergQty": decimal(0),
        "time": stamp(tracked.since),
        "updateTime": stamp(report.event_time),
        "isWorking": True,
        "workingTime": stamp(tracked.since),
        "selfTradePreventionMode": SelfTradePrevention.EXPIRE_MAKER,
    }


def new_order(reports: Sequence[ExecutionReport], response_type: str, stp: str) -> JSON:
    """Return the answer to a new order. `reports` are its execution reports so far, `response_type`
    is ACK, RESULT or FULL, `stp` its self-trade prevention mode.
    """
    last = reports[-1]
    answer: JSON = {**_identity(last), "transactTime": stamp(reports[0].event_time)}
    if response_type == "ACK":
        return answer
    answer |= {
        **_progress(last),
        "workingTime": stamp(reports[0].event_time),
        "selfTradePreventionMode": stp,
    }
    if response_type == "FULL":
        answer["fills"] = [
            {
                "price": decimal(r.last_price),
                "qty": decimal(r.last_qty),
                "commission": decimal(0),
                "commissionAsset": commission_asset(r.symbol, r.side == BUY),
                "tradeId": r.trade_id,
            }
            for r in reports
            if r.execution_type is ExecutionType.TRADE
        ]
    return answer


def cancelled(report: ExecutionReport, request_id: str) -> JSON:
    """Return the answer to a cancellation. `request_id` is the client order id of the cancel
    request.
    """
    return {
        **_identity(report),
        "origClientOrderId": report.client_order_id,
        "clientOrderId": request_id,
        "transactTime": stamp(report.event_time),
        **_progress(report),
        "selfTradePreventionMode": SelfTradePrevention.EXPIRE_MAKER,
    }


def execution_report(report: ExecutionReport, since: int) -> JSON:
    """Return the event `executionReport` of the user data stream. `since` is when the order was
    accepted, microseconds.
    """
    at, since = stamp(report.event_time), stamp(since)
    is_cancel = report.execution_type is ExecutionType.CANCELED
    return {
        "e": "executionReport",
        "E": at,
        "s": report.symbol,
        "c": report.client_order_id,
        "S": report.side,
        "o": report.type,
        "f": report.time_in_force,
        "q": decimal(report.qty),
        "p": decimal(report.price),
        "P": decimal(0),
        "F": decimal(0),
        "g": -1,
        "C": report.client_order_id if is_cancel else "",
        "x": report.execution_type,
        "X": report.status,
        "r": "NONE",
        "i": report.order_id,
        "l": decimal(report.last_qty),
        "z": decimal(report.cum_qty),
        "L": decimal(report.last_price),
        "n": "0",
        "N": None,
        "T": at,
        "t": report.trade_id or -1,
        "I": report.order_id,
        "w": report.status in OPEN_STATUSES and report.time_in_force == TimeInForce.GTC,
        "m": report.is_maker,
        "M": False,
        "O": since,
        "Z": decimal(report.cum_quote),
        "Y": decimal(report.last_price * report.last_qty // 100_000_000),
        "Q": decimal(0),
        "W": since,
        "V": SelfTradePrevention.EXPIRE_MAKER,
    }


def my_trade(fill: Fill) -> JSON:
    """Return a fill as `GET /api/v3/myTrades` does."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": -1,
        "price": decimal(fill.price),
        "qty": decimal(fill.qty),
        "quoteQty": decimal(fill.quote_qty),
        "commission": decimal(0),
        "commissionAsset": commission_asset(fill.symbol, fill.buyer),
        "time": stamp(fill.time),
        "isBuyer": fill.buyer,
        "isMaker": fill.maker,
        "isBestMatch": True,
    }


def public_trade(trade: Trade) -> JSON:
    """Return a trade as `GET /api/v3/trades` does."""
    return {
        "id": trade.trade_id,
        "price": decimal(trade.price),
        "qty": decimal(trade.qty),
        "quoteQty": decimal(trade.quote_qty),
        "time": stamp(trade.event_time),
        "isBuyerMaker": trade.buyer_is_maker,
        "isBestMatch": True,
    }


def kline(bar: Kline, end: int) -> list[Any]:
    """Return a kline as `GET /api/v3/klines` does. `end` is when it ends, microseconds."""
    return [
        stamp(bar.start),
        decimal(bar.open),
        decimal(bar.high),
        decimal(bar.low),
        decimal(bar.close),
        decimal(bar.volume),
        stamp(end - 1),
        decimal(bar.quote_volume),
        bar.trades,
        decimal(bar.taker_volume),
        decimal(bar.taker_quote),
        "0",
    ]


def _progress(report: ExecutionReport) -> JSON:
    """Return what is wanted and how far it has come, in Binance's spelling."""
    return {
        "price": decimal(report.price),
        "origQty": decimal(report.qty),
        "executedQty": decimal(report.cum_qty),
        "origQuoteOrderQty": decimal(0),
        "cummulativeQuoteQty": decimal(report.cum_quote),
        "status": report.status,
        "timeInForce": report.time_in_force,
        "type": report.type,
        "side": report.side,
    }


def _identity(report: ExecutionReport) -> JSON:
    return {
        "symbol": report.symbol,
        "orderId": report.order_id,
        "orderListId": -1,
        "clientOrderId": report.client_order_id,
    }


def commission_asset(symbol: str, buyer: bool) -> str:
    """Return the asset in which a commission would be charged: the one that the order receives."""
    return symbol.removesuffix("USDT") if buyer else "USDT"


def aggregate_trade(trade: Trade) -> JSON:
    """Return a trade as `GET /api/v3/aggTrades` does."""
    return {
        "a": trade.trade_id,
        "p": decimal(trade.price),
        "q": decimal(trade.qty),
        "f": trade.trade_id,
        "l": trade.trade_id,
        "T": stamp(trade.event_time),
        "m": trade.buyer_is_maker,
        "M": True,
    }
