"""Translates the messages that a risk monitor receives into the events that a monitor sees."""

from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Any

from trading.messages import Message, custody, market, orders
from trading.monitors import events
from trading.universe import Universe

_UNIT, _ZERO = Decimal("1e-8"), Decimal(0)


def decimal(units: int) -> Decimal:
    """Return an amount of 1e-8 as a decimal number with eight decimals; zero has none, because its
    text would be 0E-8.
    """
    return units * _UNIT if units else _ZERO


def start_event(monitor: str, universe: Universe, tick: int, now: int) -> events.Start:
    """Return the first event of a monitor. ``tick`` and ``now`` are in microseconds."""
    return events.Start(
        protocol=events.PROTOCOL,
        monitor=monitor,
        time=now,
        tick=tick,
        symbols=tuple(
            events.Symbol(i.symbol, i.base, i.quote, decimal(i.tick), decimal(i.lot))
            for i in universe.instruments
        ),
        assets=tuple(asset.name for asset in universe.assets),
        pegs={asset.name: decimal(asset.peg) for asset in universe.assets if asset.stable},
        accounts=universe.firm_accounts,
    )


class Translator:
    """Translates messages; ``accounts`` are those of the firm, since nobody sees the orders of
    others.
    """

    def __init__(self, accounts: Collection[str]) -> None:
        self._accounts = frozenset(accounts)
        self._translations: dict[type[Message], Callable[[Any], events.Event]] = {
            market.PriceTick: _price,
            market.BookTop: _book,
            market.SymbolStatusChanged: _status,
            market.Pong: _pong,
            orders.Trade: _trade,
            orders.ExecutionReport: _execution,
            orders.KillSwitchChanged: _kill_switch,
            orders.AccountSnapshot: _account,
            custody.CustodySnapshot: _custody,
        }

    def event(self, message: Message) -> events.Event | None:
        """Return the event of a message; None if a monitor does not see it."""
        translate = self._translations.get(type(message))
        if translate is None:
            return None
        if isinstance(message, orders.ExecutionReport) and message.account not in self._accounts:
            return None
        return translate(message)


def _price(tick: market.PriceTick) -> events.Price:
    price = None if tick.price is None else decimal(tick.price)
    return events.Price(tick.asset, price, tick.seq, tick.event_time)


def _book(top: market.BookTop) -> events.Book:
    return events.Book(
        top.symbol,
        decimal(top.bid),
        decimal(top.bid_qty),
        decimal(top.ask),
        decimal(top.ask_qty),
        decimal(top.bid_depth),
        decimal(top.ask_depth),
        top.event_time,
    )


def _status(change: market.SymbolStatusChanged) -> events.SymbolStatus:
    return events.SymbolStatus(change.symbol, change.status, change.reason, change.event_time)


def _pong(pong: market.Pong) -> events.Pong:
    return events.Pong(pong.source, pong.event_time)


def _trade(trade: orders.Trade) -> events.Trade:
    return events.Trade(
        trade.symbol,
        trade.trade_id,
        decimal(trade.price),
        decimal(trade.qty),
        trade.buyer_is_maker,
        trade.event_time,
    )


def _execution(report: orders.ExecutionReport) -> events.Execution:
    return events.Execution(
        account=report.account,
        client_order_id=report.client_order_id,
        order_id=report.order_id,
        symbol=report.symbol,
        side=report.side,
        type=report.type,
        execution_type=report.execution_type,
        status=report.status,
        qty=decimal(report.qty),
        price=decimal(report.price),
        cum_qty=decimal(report.cum_qty),
        cum_quote=decimal(report.cum_quote),
        last_qty=decimal(report.last_qty),
        last_price=decimal(report.last_price),
        trade_id=report.trade_id,
        is_maker=report.is_maker,
        reason=report.reason,
        time=report.event_time,
    )


def _kill_switch(change: orders.KillSwitchChanged) -> events.KillSwitch:
    return events.KillSwitch(change.account, change.engaged, change.reason, change.event_time)


def _account(snapshot: orders.AccountSnapshot) -> events.Account:
    return events.Account(
        snapshot.account,
        tuple(
            events.Holding(b.asset, decimal(b.free), decimal(b.locked)) for b in snapshot.balances
        ),
        snapshot.open_orders,
        snapshot.killed,
        snapshot.last_trade_id,
        snapshot.event_time,
    )


def _custody(snapshot: custody.CustodySnapshot) -> events.Custody:
    return events.Custody(
        tuple(
            events.CustodyHolding(b.account, b.asset, decimal(b.settled), decimal(b.pending))
            for b in snapshot.balances
        ),
        tuple(
            events.Overdue(o.account, o.asset, decimal(o.remaining), o.settlement_date)
            for o in snapshot.overdue
        ),
        snapshot.last_trade_id,
        snapshot.event_time,
    )
