"""Public market data: the index feed of the market data service, the exchange's book streams."""

from trading.messages.base import Message


class PriceTick(Message):
    """Index price of one asset in USD, from the market data service.

    ``price`` is None where the upstream sent something that is not a number. ``seq`` counts per
    asset without gaps, from 1. ``event_time`` is when the price was true, not when it was sent.
    """

    asset: str
    price: int | None
    seq: int
    event_time: int


class AnchorObserved(Message):
    """From outside, to the market data service: what ``source`` says one asset costs in USD.

    ``event_time`` is when that was true, as the source says, in microseconds of wall time.
    ``stale``: the source cannot be asked now; this is the last that it said.
    """

    asset: str
    price: int
    source: str
    event_time: int
    stale: bool = False


class BookTop(Message):
    """Best bid and ask of one symbol. A price of 0 means that this side of the book is empty.

    ``bid_depth``/``ask_depth``: notional in quote units resting within 1 % of the mid price.
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
    """``status``: TRADING, HALT or CANCEL_ONLY."""

    symbol: str
    status: str
    reason: str
    event_time: int


class Ping(Message):
    """Is ``to`` there? Answered by every service with :class:`Pong`."""

    to: str
    source: str
    nonce: int


class Pong(Message):
    """Answer to :class:`Ping`: ``to`` is who asked, ``source`` is who answers."""

    to: str
    source: str
    nonce: int
    event_time: int
