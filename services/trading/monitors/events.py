"""What a monitor sees: the events of the APIs that a firm has in production.

Prices and quantities are decimal numbers, texts in JSON; ``price`` and ``bid`` are in the quote
asset. ``time`` is when it happened, in microseconds since 1970. In JSON, ``event`` has the type.
"""

from decimal import Decimal

import msgspec

#: The version of the protocol. It changes when an event or an answer changes its meaning.
PROTOCOL = 1


class Symbol(msgspec.Struct, frozen=True, gc=False):
    """A symbol of the exchange: ``base`` is traded for ``quote``, by ``tick`` and ``lot``."""

    symbol: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal


class Event(msgspec.Struct, frozen=True, gc=False, tag_field="event"):
    """The base class of all events."""


class Start(Event, frozen=True, gc=False, tag="start"):
    """The first event: what exists. ``pegs`` has the price in USD that each stablecoin returns to,
    and ``accounts`` the firm's accounts. ``tick`` is the time between two prices of an asset, in
    microseconds.
    """

    protocol: int
    monitor: str
    time: int
    tick: int
    symbols: tuple[Symbol, ...]
    assets: tuple[str, ...]
    pegs: dict[str, Decimal]
    accounts: tuple[str, ...]


class Price(Event, frozen=True, gc=False, tag="price"):
    """An index price of an asset in USD; None where the feed sent no number."""

    asset: str
    price: Decimal | None
    seq: int
    time: int


class Book(Event, frozen=True, gc=False, tag="book"):
    """The best bid and ask of a symbol, and the quantity in the visible book on each side."""

    symbol: str
    bid: Decimal
    bid_qty: Decimal
    ask: Decimal
    ask_qty: Decimal
    bid_depth: Decimal
    ask_depth: Decimal
    time: int


class Trade(Event, frozen=True, gc=False, tag="trade"):
    """A trade on the public tape."""

    symbol: str
    trade_id: int
    price: Decimal
    qty: Decimal
    buyer_is_maker: bool
    time: int


class Execution(Event, frozen=True, gc=False, tag="execution"):
    """An execution report about an order of the firm, with Binance's values in ``side``, ``type``,
    ``execution_type`` and ``status``. ``cum_qty`` and ``cum_quote`` are filled so far; ``last_qty``
    and ``last_price`` are those of this fill.
    """

    account: str
    client_order_id: str
    order_id: int
    symbol: str
    side: str
    type: str
    execution_type: str
    status: str
    qty: Decimal
    price: Decimal
    cum_qty: Decimal
    cum_quote: Decimal
    last_qty: Decimal
    last_price: Decimal
    trade_id: int
    is_maker: bool
    reason: str
    time: int


class SymbolStatus(Event, frozen=True, gc=False, tag="status"):
    """The exchange has halted or resumed a symbol."""

    symbol: str
    status: str
    reason: str
    time: int


class KillSwitch(Event, frozen=True, gc=False, tag="kill_switch"):
    """The exchange's kill switch of an account was engaged or released."""

    account: str
    engaged: bool
    reason: str
    time: int


class Holding(msgspec.Struct, frozen=True, gc=False):
    """What an account has of an asset at the exchange; ``locked`` is reserved for its orders."""

    asset: str
    free: Decimal
    locked: Decimal


class Account(Event, frozen=True, gc=False, tag="account"):
    """The exchange's answer about an account of the firm, asked for every few seconds."""

    account: str
    balances: tuple[Holding, ...]
    open_orders: int
    killed: bool
    last_trade_id: int
    time: int


class Overdue(msgspec.Struct, frozen=True, gc=False):
    """A settlement of which ``remaining`` was not settled at its date ``due``, a time as in
    ``time``.
    """

    account: str
    asset: str
    remaining: Decimal
    due: int


class CustodyHolding(msgspec.Struct, frozen=True, gc=False):
    """What an account has of an asset in custody: ``settled``, and ``pending`` to be settled, which
    is negative if the account has to deliver.
    """

    account: str
    asset: str
    settled: Decimal
    pending: Decimal


class Custody(Event, frozen=True, gc=False, tag="custody"):
    """The custodian's answer about the firm's accounts, asked for every few seconds."""

    balances: tuple[CustodyHolding, ...]
    overdue: tuple[Overdue, ...]
    last_trade_id: int
    time: int


class Pong(Event, frozen=True, gc=False, tag="pong"):
    """A service has answered a heartbeat, which is sent every second."""

    service: str
    time: int
