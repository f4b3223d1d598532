"""Trading on the exchange: commands of clients, execution reports, trades and account queries."""

from enum import StrEnum

import msgspec

from trading.messages.base import Message
from trading.messages.market import SymbolStatus


class Side(StrEnum):
    """Whether an order buys or sells the base asset."""

    BUY = "BUY"
    SELL = "SELL"


# By short names, which strategies and books look up for every order.
BUY, SELL = Side.BUY, Side.SELL


class OrderType(StrEnum):
    """LIMIT_MAKER: a limit order that is refused if it would match at once (post-only)."""

    LIMIT = "LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"
    MARKET = "MARKET"


class TimeInForce(StrEnum):
    """Until when an order that is no MARKET order can be filled: until it is cancelled, at once in
    part, or at once as a whole.
    """

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class SelfTradePrevention(StrEnum):
    """What expires if an order would trade with another one of its own account."""

    NONE = "NONE"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"


class ExecutionType(StrEnum):
    """What happened to an order. TRADE_PREVENTION: self-trade prevention expired it."""

    NEW = "NEW"
    TRADE = "TRADE"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    TRADE_PREVENTION = "TRADE_PREVENTION"


class OrderStatus(StrEnum):
    """How far an order has come. EXPIRED_IN_MATCH: self-trade prevention expired it."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"


#: Statuses of orders that can still be filled, and of those that cannot.
OPEN_STATUSES = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})
CLOSED_STATUSES = frozenset(OrderStatus) - OPEN_STATUSES


class PlaceOrder(Message):
    """Place a new order.

    ``side``, ``type``, ``time_in_force`` and ``stp`` (self-trade prevention) name a :class:`Side`,
    an :class:`OrderType`, a :class:`TimeInForce` and a mode of :class:`SelfTradePrevention`. They
    are texts, because the venue refuses an order that names something else, and reports it as it
    came. A MARKET order has a ``qty``, or a ``quote_qty`` (the amount of the quote asset to spend
    or receive) and a ``qty`` of 0.
    """

    account: str
    client_order_id: str
    symbol: str
    side: str
    type: str
    qty: int
    price: int = 0
    time_in_force: str = TimeInForce.GTC
    quote_qty: int = 0
    stp: str = SelfTradePrevention.EXPIRE_MAKER


class CancelOrder(Message):
    """Cancel one open order of ``account``."""

    account: str
    symbol: str
    client_order_id: str


class ReplaceOrder(Message):
    """Cancel ``client_order_id``, then place ``order``; if the cancel fails, nothing is placed."""

    account: str
    symbol: str
    client_order_id: str
    order: PlaceOrder


class CancelAllOrders(Message):
    """Cancel the open orders of ``account`` on ``symbol``, or on every symbol if it is empty."""

    account: str
    symbol: str = ""


class SetKillSwitch(Message):
    """Engage or release the kill functionality (RTS 6, article 12) of an account.

    Engaging cancels all its open orders and rejects new ones.
    """

    account: str
    engaged: bool
    reason: str


class HaltMarket(Message):
    """Command of the venue's operator: set the status of ``symbols``, or of all if empty."""

    symbols: tuple[str, ...]
    status: SymbolStatus
    reason: str


class AccountQuery(Message):
    """Ask the exchange for an account; answered with :class:`AccountSnapshot` to ``source``."""

    source: str
    account: str
    request_id: str


class ExecutionReport(Message):
    """A change of one order, published on the private stream of its account.

    ``side``, ``type`` and ``time_in_force`` are those of the request; they are empty if it was to
    cancel an order that is not known. ``last_*`` fields belong to this fill, ``cum_*`` fields to
    the order so far; ``cum_quote`` is notional. ``reason`` is UPPER_SNAKE with values, and empty
    unless the order was rejected, expired, replaced or killed.
    """

    account: str
    client_order_id: str
    order_id: int
    symbol: str
    side: str
    type: str
    time_in_force: str
    qty: int
    price: int
    execution_type: ExecutionType
    status: OrderStatus
    cum_qty: int
    cum_quote: int
    last_qty: int
    last_price: int
    trade_id: int
    is_maker: bool
    reason: str
    event_time: int


class Trade(Message):
    """One match, as published on the exchange's clearing feed.

    ``trade_id`` counts from 1 without gaps. ``quote_qty`` is the notional.
    """

    trade_id: int
    symbol: str
    price: int
    qty: int
    quote_qty: int
    buyer: str
    seller: str
    buy_order_id: int
    sell_order_id: int
    buyer_is_maker: bool
    event_time: int


class RequestFailure(StrEnum):
    """Why a request failed. EXECUTION_STATUS_UNKNOWN: it may have been executed."""

    CONNECTION_RESET = "CONNECTION_RESET"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    EXECUTION_STATUS_UNKNOWN = "EXECUTION_STATUS_UNKNOWN"


class RequestFailed(Message):
    """The transport's answer to a client whose request failed.

    ``request`` is the client order id or request id.
    """

    to: str
    source: str
    account: str
    request: str
    reason: RequestFailure
    event_time: int


class KillSwitchChanged(Message):
    """The kill switch of an account was engaged or released.

    ``cancelled_orders`` is how many open orders that canceled.
    """

    account: str
    engaged: bool
    cancelled_orders: int
    reason: str
    event_time: int


class Balance(msgspec.Struct, gc=False):
    """Free and locked balance of one asset, in 1e-8."""

    asset: str
    free: int
    locked: int


class AccountSnapshot(Message):
    """Balances and open orders of one account, addressed to ``to``.

    The balances include every trade up to ``last_trade_id``. ``open_notional`` is the notional of
    the open orders' unfilled quantities at their limit prices.
    """

    to: str
    request_id: str
    account: str
    balances: tuple[Balance, ...]
    open_orders: int
    open_notional: int
    killed: bool
    last_trade_id: int
    event_time: int
