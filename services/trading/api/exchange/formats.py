"""The venue's records as Binance writes them: decimal strings, milliseconds."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from trading.api.exchange.history import Fill, Kline, Known
from trading.api.exchange.limits import ORDERS_PER_DAY, Limits
from trading.exchange.filters import COLLAR_PPM, MAX_NOTIONAL
from trading.messages.orders import ExecutionReport, Trade
from trading.units import PPM
from trading.universe import Instrument, Universe

JSON = dict[str, Any]


def decimal(units: int) -> str:
    """Always eight decimals."""
    sign = "-" if units < 0 else ""
    whole, rest = divmod(abs(units), 100_000_000)
    return f"{sign}{whole}.{rest:08d}"


def ms(us: int) -> int:
    return us // 1000


def exchange_info(
    universe: Universe, status: dict[str, str], limits: Limits, symbols: Sequence[str], now: int
) -> JSON:
    return {
        "timezone": "UTC",
        "serverTime": now,
        "rateLimits": [
            _rate("REQUEST_WEIGHT", "MINUTE", 1, limits.weight_per_minute),
            _rate("ORDERS", "SECOND", 10, limits.orders_per_10_seconds),
            _rate("ORDERS", "DAY", 1, ORDERS_PER_DAY),
        ],
        "exchangeFilters": [],
        "symbols": [_symbol(universe.instrument(s), status[s]) for s in symbols],
    }


def order(known: Known) -> JSON:
    """As ``GET /api/v3/order`` answers."""
    report = known.report
    return {
        **_identity(report),
        "price": decimal(report.price),
        "origQty": decimal(report.qty),
        "executedQty": decimal(report.cum_qty),
        "origQuoteOrderQty": decimal(0),
        "cummulativeQuoteQty": decimal(report.cum_quote),
        "status": report.status,
        "timeInForce": report.time_in_force,
        "type": report.type,
        "side": report.side,
        "stopPrice": decimal(0),
        "icebergQty": decimal(0),
        "time": ms(known.since),
        "updateTime": ms(report.event_time),
        "isWorking": True,
        "workingTime": ms(known.since),
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }


def new_order(reports: Sequence[ExecutionReport], kind: str, stp: str) -> JSON:
    """The answer to a new order; ``kind``: ACK, RESULT or FULL."""
    last = reports[-1]
    answer: JSON = {**_identity(last), "transactTime": ms(reports[0].event_time)}
    if kind == "ACK":
        return answer
    answer |= {
        "price": decimal(last.price),
        "origQty": decimal(last.qty),
        "executedQty": decimal(last.cum_qty),
        "origQuoteOrderQty": decimal(0),
        "cummulativeQuoteQty": decimal(last.cum_quote),
        "status": last.status,
        "timeInForce": last.time_in_force,
        "type": last.type,
        "side": last.side,
        "workingTime": ms(reports[0].event_time),
        "selfTradePreventionMode": stp,
    }
    if kind == "FULL":
        answer["fills"] = [
            {
                "price": decimal(r.last_price),
                "qty": decimal(r.last_qty),
                "commission": decimal(0),
                "commissionAsset": r.symbol.removesuffix("USDT"),
                "tradeId": r.trade_id,
            }
            for r in reports
            if r.execution_type == "TRADE"
        ]
    return answer


def cancelled(report: ExecutionReport, request_id: str) -> JSON:
    """The answer to a cancel; ``request_id`` is the cancel's own client order id."""
    return {
        **_identity(report),
        "origClientOrderId": report.client_order_id,
        "clientOrderId": request_id,
        "transactTime": ms(report.event_time),
        "price": decimal(report.price),
        "origQty": decimal(report.qty),
        "executedQty": decimal(report.cum_qty),
        "origQuoteOrderQty": decimal(0),
        "cummulativeQuoteQty": decimal(report.cum_quote),
        "status": report.status,
        "timeInForce": report.time_in_force,
        "type": report.type,
        "side": report.side,
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }


def execution_report(report: ExecutionReport) -> JSON:
    """As the user data stream has it."""
    at = ms(report.event_time)
    gone = report.execution_type == "CANCELED"
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
        "C": report.client_order_id if gone else "",
        "x": report.execution_type,
        "X": report.status,
        "r": report.reason.split(" ")[0] or "NONE",
        "i": report.order_id,
        "l": decimal(report.last_qty),
        "z": decimal(report.cum_qty),
        "L": decimal(report.last_price),
        "n": "0",
        "N": None,
        "T": at,
        "t": report.trade_id or -1,
        "I": report.order_id,
        "w": report.status in ("NEW", "PARTIALLY_FILLED"),
        "m": report.is_maker,
        "M": False,
        "O": at,
        "Z": decimal(report.cum_quote),
        "Y": decimal(report.last_price * report.last_qty // 100_000_000),
        "Q": decimal(0),
        "W": at,
        "V": "EXPIRE_MAKER",
    }


def my_trade(fill: Fill) -> JSON:
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": -1,
        "price": decimal(fill.price),
        "qty": decimal(fill.qty),
        "quoteQty": decimal(fill.quote_qty),
        "commission": decimal(0),
        "commissionAsset": fill.symbol.removesuffix("USDT"),
        "time": ms(fill.time),
        "isBuyer": fill.buyer,
        "isMaker": fill.maker,
        "isBestMatch": True,
    }


def public_trade(trade: Trade) -> JSON:
    return {
        "id": trade.trade_id,
        "price": decimal(trade.price),
        "qty": decimal(trade.qty),
        "quoteQty": decimal(trade.quote_qty),
        "time": ms(trade.event_time),
        "isBuyerMaker": trade.buyer_is_maker,
        "isBestMatch": True,
    }


def kline(bar: Kline, length: int) -> list[Any]:
    """``length``: of the interval, microseconds."""
    return [
        ms(bar.start),
        decimal(bar.open),
        decimal(bar.high),
        decimal(bar.low),
        decimal(bar.close),
        decimal(bar.volume),
        ms(bar.start + length) - 1,
        decimal(bar.quote_volume),
        bar.trades,
        decimal(bar.taker_volume),
        decimal(bar.taker_quote),
        "0",
    ]


def _identity(report: ExecutionReport) -> JSON:
    return {
        "symbol": report.symbol,
        "orderId": report.order_id,
        "orderListId": -1,
        "clientOrderId": report.client_order_id,
    }


def _rate(kind: str, interval: str, count: int, limit: int) -> JSON:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": count, "limit": limit}


def _symbol(instrument: Instrument, status: str) -> JSON:
    up, down = Decimal(PPM + COLLAR_PPM) / PPM, Decimal(PPM - COLLAR_PPM) / PPM
    return {
        "symbol": instrument.symbol,
        "status": status,
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": decimal(instrument.tick),
                "maxPrice": "1000000000.00000000",
                "tickSize": decimal(instrument.tick),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": decimal(instrument.lot),
                "maxQty": "1000000000.00000000",
                "stepSize": decimal(instrument.lot),
            },
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": str(up),
                "bidMultiplierDown": str(down),
                "askMultiplierUp": str(up),
                "askMultiplierDown": str(down),
                "avgPriceMins": 0,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": decimal(instrument.min_notional),
                "applyMinToMarket": True,
                "maxNotional": decimal(MAX_NOTIONAL),
                "applyMaxToMarket": True,
                "avgPriceMins": 0,
            },
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }
