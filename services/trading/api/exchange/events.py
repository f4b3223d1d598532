"""The events of the WebSocket streams in the format of Binance. Everywhere `at` is the event's
time, simulated microseconds.
"""

from trading.api.exchange.depth import DepthUpdate
from trading.api.exchange.formats import JSON, decimal, kline, stamp
from trading.api.exchange.history import Kline
from trading.messages.orders import ExecutionReport, Trade

_KLINE = ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q", "B")


def depth(update: DepthUpdate, at: int) -> JSON:
    """Return `depthUpdate`, a change of an order book."""
    return {
        "e": "depthUpdate",
        "E": stamp(at),
        "s": update.symbol,
        "U": update.first,
        "u": update.last,
        "b": [[decimal(p), decimal(q)] for p, q in update.bids],
        "a": [[decimal(p), decimal(q)] for p, q in update.asks],
    }


def book_ticker(quote: JSON, update_id: int) -> JSON:
    """Return the event of `bookTicker`: the best bid and ask. `quote` is a row of
    `ticker/bookTicker`.
    """
    return {
        "u": update_id,
        "s": quote["symbol"],
        "b": quote["bidPrice"],
        "B": quote["bidQty"],
        "a": quote["askPrice"],
        "A": quote["askQty"],
    }


def trade(trade: Trade) -> JSON:
    """Return `trade`."""
    return {"e": "trade", "t": trade.trade_id, **_trade(trade)}


def aggregate_trade(trade: Trade) -> JSON:
    """Return `aggTrade`; every trade is an aggregate of its own."""
    ids = dict.fromkeys(("a", "f", "l"), trade.trade_id)
    return {"e": "aggTrade", **ids, **_trade(trade)}


def _trade(trade: Trade) -> JSON:
    at = stamp(trade.event_time)
    return {
        "E": at,
        "s": trade.symbol,
        "p": decimal(trade.price),
        "q": decimal(trade.qty),
        "T": at,
        "m": trade.buyer_is_maker,
        "M": True,
    }


def kline_event(symbol: str, interval: str, bar: Kline, end: int, closed: bool, at: int) -> JSON:
    """Return `kline`. `end` is when the kline ends, microseconds; `closed` tells that it will not
    change any more.
    """
    row = dict(zip(_KLINE, kline(bar, end), strict=True))
    row |= {"s": symbol, "i": interval, "f": bar.first_id, "L": bar.last_id, "x": closed}
    return {"e": "kline", "E": stamp(at), "s": symbol, "k": row}


def mini_ticker(row: JSON, at: int) -> JSON:
    """Return `24hrMiniTicker`. `row` is an answer of `ticker/24hr`."""
    return {
        "e": "24hrMiniTicker",
        "E": stamp(at),
        "s": row["symbol"],
        "c": row["lastPrice"],
        "o": row["openPrice"],
        "h": row["highPrice"],
        "l": row["lowPrice"],
        "v": row["volume"],
        "q": row["quoteVolume"],
    }


def window_ticker(row: JSON, name: str, at: int) -> JSON:
    """Return the ticker of a window with name `name`: 1h, 4h, 1d or 24hr. `row` is an answer of
    `ticker`.
    """
    return {
        **mini_ticker(row, at),
        "e": f"{name}Ticker",
        "p": row["priceChange"],
        "P": row["priceChangePercent"],
        "w": row["weightedAvgPrice"],
        "O": row["openTime"],
        "C": row["closeTime"],
        "F": row["firstId"],
        "L": row["lastId"],
        "n": row["count"],
    }


def ticker(row: JSON, at: int) -> JSON:
    """Return `24hrTicker`. `row` is an answer of `ticker/24hr`."""
    return {
        **window_ticker(row, "24hr", at),
        "x": row["prevClosePrice"],
        "Q": row["lastQty"],
        "b": row["bidPrice"],
        "B": row["bidQty"],
        "a": row["askPrice"],
        "A": row["askQty"],
    }


def average_price(symbol: str, price: int, traded_at: int, at: int) -> JSON:
    """Return `avgPrice`: the average `price` in units of 1e-8, and when the last trade was."""
    return {
        "e": "avgPrice",
        "E": stamp(at),
        "s": symbol,
        "i": "5m",
        "w": decimal(price),
        "T": stamp(traded_at),
    }


def account_position(report: ExecutionReport, balances: list[tuple[str, int, int]]) -> JSON:
    """Return `outboundAccountPosition` after `report`. `balances` holds asset, free and locked
    amount.
    """
    at = stamp(report.event_time)
    return {
        "e": "outboundAccountPosition",
        "E": at,
        "u": at,
        "B": [{"a": a, "f": decimal(free), "l": decimal(locked)} for a, free, locked in balances],
    }
