"""Trading on the exchange: commands of clients, execution reports, trades, account queries."""

import msgspec

from trading.messages.base import Message

BUY = "BUY"
SELL = "SELL"


class PlaceOrder(Message):
    """New order. ``type``: LIMIT, MARKET or LIMIT_MAKER (post-only). ``time_in_force``: GTC, IOC
    or FOK (LIMIT only). ``stp``: self-trade prevention EXPIRE_MAKER, EXPIRE_TAKER, EXPIRE_BOTH or
    NONE. A MARKET order takes ``qty``, or ``quote_qty`` (spend or receive that much quote) with
    ``qty`` 0.
    """

    account: str
    client_order_id: str
    symbol: str
    side: str
    type: str
    qty: int
    price: int = 0
    time_in_force: str = "GTC"
    quote_qty: int = 0
    stp: str = "EXPIRE_MAKER"


class CancelOrder(Message):
    account: str
    symbol: str
    client_order_id: str


class ReplaceOrder(Message):
    """Cancel ``client_order_id``, then place ``order``; if the cancel fails nothing is placed."""

    account: str
    symbol: str
    client_order_id: str
    order: PlaceOrder


class CancelAllOrders(Message):
    """Cancel the open orders of ``account``; ``symbol`` empty: on every symbol."""

    account: str
    symbol: str = ""


class SetKillSwitch(Message):
    """Kill functionality (RTS 6 art. 12): engaged = cancel all open orders, refuse new ones."""

    account: str
    engaged: bool
    reason: str


class HaltMarket(Message):
    """Venue operator's command. ``symbols`` empty: all. ``status`` as in SymbolStatusChanged."""

    symbols: tuple[str, ...]
    status: str
    reason: str


class AccountQuery(Message):
    """Ask the exchange for an account; answered with :class:`AccountSnapshot` to ``source``."""

    source: str
    account: str
    request_id: str


class ExecutionReport(Message):
    """Private stream of one account, one report for each change of one order.

    ``execution_type``: NEW, TRADE, CANCELED, REPLACED, REJECTED, EXPIRED, TRADE_PREVENTION.
    ``status``: NEW, PARTIALLY_FILLED, FILLED, CANCELED, REJECTED, EXPIRED, EXPIRED_IN_MATCH.
    ``last_*`` belong to this fill, ``cum_*`` to the order so far; ``cum_quote`` is notional.
    ``reason``: UPPER_SNAKE with values, empty unless rejected, expired or killed.
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
    execution_type: str
    status: str
    cum_qty: int
    cum_quote: int
    last_qty: int
    last_price: int
    trade_id: int
    is_maker: bool
    reason: str
    event_time: int


class Trade(Message):
    """One match, as the exchange's clearing feed has it. ``trade_id`` counts from 1, no gaps."""

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


class RequestFailed(Message):
    """The transport's answer to a client: connection reset, 5xx, or execution status unknown.

    ``request``: the client order id or request id. ``reason``: CONNECTION_RESET,
    SERVICE_UNAVAILABLE or EXECUTION_STATUS_UNKNOWN.
    """

    to: str
    source: str
    account: str
    request: str
    reason: str
    event_time: int


class KillSwitchChanged(Message):
    account: str
    engaged: bool
    cancelled_orders: int
    reason: str
    event_time: int


class Balance(msgspec.Struct, gc=False):
    asset: str
    free: int
    locked: int


class AccountSnapshot(Message):
    """``last_trade_id``: every trade up to this one is in the balances."""

    to: str
    request_id: str
    account: str
    balances: tuple[Balance, ...]
    open_orders: int
    open_notional: int
    killed: bool
    last_trade_id: int
    event_time: int
