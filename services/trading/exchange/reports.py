"""Builds execution reports: the only place of the exchange that constructs one.

An :class:`ExecutionReport` has nineteen fields and no defaults. :func:`build_report` copies those
of the order and takes the others by keyword, with defaults for what most reports leave empty.
"""

from trading.exchange.book import Order
from trading.messages.orders import (
    CancelOrder,
    ExecutionReport,
    ExecutionType,
    OrderStatus,
    PlaceOrder,
    ReplaceOrder,
)


def build_report(
    order: Order | PlaceOrder,
    *,
    execution_type: ExecutionType,
    status: OrderStatus,
    event_time: int,
    order_id: int = 0,
    price: int = 0,
    cum_qty: int = 0,
    cum_quote: int = 0,
    last_qty: int = 0,
    last_price: int = 0,
    trade_id: int = 0,
    is_maker: bool = False,
    reason: str = "",
) -> ExecutionReport:
    """Return an execution report about ``order``; fields are as in :class:`ExecutionReport`.

    A :class:`PlaceOrder` will do, for an order that was rejected. ``price`` is the limit price,
    which the two classes name differently.
    """
    # By position, in the order of the fields: by keyword it takes longer, and this is one of the
    # most frequent messages of the exchange.
    return ExecutionReport(
        order.account,
        order.client_order_id,
        order_id,
        order.symbol,
        order.side,
        order.type,
        order.time_in_force,
        order.qty,
        price,
        execution_type,
        status,
        cum_qty,
        cum_quote,
        last_qty,
        last_price,
        trade_id,
        is_maker,
        reason,
        event_time,
    )


def report_rejected(order: PlaceOrder, *, reason: str, event_time: int) -> ExecutionReport:
    """Report that a new order was rejected for ``reason``; it got no order id."""
    return build_report(
        order,
        price=order.price,
        execution_type=ExecutionType.REJECTED,
        status=OrderStatus.REJECTED,
        reason=reason,
        event_time=event_time,
    )


def report_unknown_order(
    request: CancelOrder | ReplaceOrder, *, event_time: int
) -> ExecutionReport:
    """Report that a cancel or replace names no open order of its account.

    Nothing of the order is known but its account, symbol and client order id.
    """
    unknown = PlaceOrder(
        account=request.account,
        client_order_id=request.client_order_id,
        symbol=request.symbol,
        side="",
        type="",
        qty=0,
        time_in_force="",
    )
    reason = f"UNKNOWN_ORDER {request.client_order_id}"
    return report_rejected(unknown, reason=reason, event_time=event_time)
