"""The exchange information: symbols with their filters, and the rate limits."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from trading.api.exchange.formats import JSON, decimal, stamp
from trading.api.exchange.limits import ORDERS_PER_DAY, Limits
from trading.exchange.filters import COLLAR_PPM, MAX_NOTIONAL, STP_MODES
from trading.messages.market import SymbolStatus
from trading.messages.orders import OrderType, SelfTradePrevention
from trading.units import PPM
from trading.universe import Instrument, Universe

#: Highest price and quantity that an order may have, in units of 1e-8.
MAX_PRICE = 10**9 * 100_000_000
MAX_QTY = 10**9 * 100_000_000


def exchange_info(
    universe: Universe,
    status: Mapping[str, SymbolStatus],
    limits: Limits,
    symbols: Sequence[str],
    now: int,
) -> JSON:
    """Return what `GET /api/v3/exchangeInfo` answers for `symbols`. `status` is the trading status
    by symbol; `now` is the wall clock's time in microseconds.
    """
    return {
        "timezone": "UTC",
        "serverTime": stamp(now),
        "rateLimits": [weight_limit(limits), *order_limits(limits)],
        "exchangeFilters": [],
        "symbols": [_symbol(universe.instrument(s), status[s], limits) for s in symbols],
    }


def weight_limit(limits: Limits) -> JSON:
    """Return the limit of request weight as clients get it."""
    return _rate("REQUEST_WEIGHT", "MINUTE", 1, limits.weight_per_minute)


def order_limits(limits: Limits) -> list[JSON]:
    """Return the limits of orders as clients get them, in the order of OrderCounts."""
    return [
        _rate("ORDERS", "SECOND", 10, limits.orders_per_10_seconds),
        _rate("ORDERS", "DAY", 1, ORDERS_PER_DAY),
    ]


def _rate(kind: str, interval: str, count: int, limit: int) -> JSON:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": count, "limit": limit}


def _symbol(instrument: Instrument, status: SymbolStatus, limits: Limits) -> JSON:
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
        "orderTypes": [*OrderType],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": decimal(instrument.tick),
                "maxPrice": decimal(MAX_PRICE),
                "tickSize": decimal(instrument.tick),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": decimal(instrument.lot),
                "maxQty": decimal(MAX_QTY),
                "stepSize": decimal(instrument.lot),
            },
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": decimal(instrument.lot),
                "maxQty": decimal(MAX_QTY),
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
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": limits.open_orders},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": SelfTradePrevention.EXPIRE_MAKER,
        "allowedSelfTradePreventionModes": sorted(STP_MODES),
    }
