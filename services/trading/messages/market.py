"""Public market data: the index prices of the market data service and the book updates of the
exchange.
"""

from enum import StrEnum

from trading.messages.base import Message


class SymbolStatus(StrEnum):
    """What a symbol accepts: orders and cancels, nothing, or cancels only."""

    TRADING = "TRADING"
    HALT = "HALT"
    CANCEL_ONLY = "CANCEL_ONLY"


class PriceTick(Message):
    """Index price of one asset in USD, from the market data service.

    ``price`` is None if the upstream sent something that is not a number. ``seq`` counts per asset
    from 1, without gaps. ``event_time`` is when the price was valid, not when it was sent.
    """

    asset: str
    price: int | None
    seq: int
    event_time: int


class AnchorObserved(Message):
    """From outside, to the market data service: the price of one asset in USD, by ``source``.

    ``event_time`` is when it was valid by the source, in microseconds of wall time. ``stale`` is
    set if no source confirms it now; it is then the last price that one did.
    """

    asset: str
    price: int
    source: str
    event_time: int
    stale: bool = False


class BookTop(Message):
    """Best bid and ask of one symbol. A price of 0 means that this side of the book is empty.

    ``bid_depth`` and ``ask_depth`` are the notional in quote units that rests within 1 % of the mid
    price. ``update_id`` counts per symbol.
    """

    symbol: str
    bid: int
    bid_qty: int
    ask: int
    ask_qty: int
    bid_depth: int
    ask_depth: int
    update_id: int
    event_time: int


class SymbolStatusChanged(Message):
    """A symbol has entered ``status``."""

    symbol: str
    status: SymbolStatus
    reason: str
    event_time: int


class Ping(Message):
    """Ask ``to`` whether it is alive; every service answers with :class:`Pong`."""

    to: str
    source: str
    nonce: int


class Pong(Message):
    """The answer to :class:`Ping`: ``to`` is the sender of the ping, ``source`` the one that
    answers.
    """

    to: str
    source: str
    nonce: int
    event_time: int
