"""The matching engine of all symbols: accepts orders, reserves balances, settles trades.

:mod:`.book` matches and :mod:`.filters` checks orders; this module joins them to accounts and turns
what happens into messages. Time is a parameter (simulated microseconds), amounts are integers in
units of 1e-8.
"""

from typing import Any

from trading.exchange.accounts import Balances
from trading.exchange.book import Book, Fill, Order
from trading.exchange.filters import refusal
from trading.exchange.reports import build_report, report_rejected
from trading.messages import Message
from trading.messages.market import SymbolStatus
from trading.messages.orders import (
    BUY,
    AccountSnapshot,
    Balance,
    ExecutionType,
    KillSwitchChanged,
    OrderStatus,
    OrderType,
    PlaceOrder,
    TimeInForce,
    Trade,
)
from trading.units import SCALE, notional
from trading.universe import MAKER_ACCOUNT, NOISE_ACCOUNT, Instrument, Universe

# By short names for what is done for each fill: to look a member up in its class takes longer.
_TRADE, _FILLED = ExecutionType.TRADE, OrderStatus.FILLED
_PARTIALLY_FILLED = OrderStatus.PARTIALLY_FILLED
_PREVENTED = ExecutionType.TRADE_PREVENTION, OrderStatus.EXPIRED_IN_MATCH

#: Opening balance of the synthetic accounts in every asset: more than they can ever trade.
_SYNTHETIC_OPENING = 10**9 * SCALE


class Engine:
    """Keeps the books, accounts and open orders of the venue, and executes requests on them.

    ``universe`` gives the instruments and the firm's accounts with their opening balances; two
    accounts of synthetic participants are added. Methods append the messages that they cause to
    ``out``. Trades are published for everybody, execution reports for the firm's accounts only.

    ``status`` and ``reference`` are the trading status and the reference price (0 while unknown) by
    symbol; both are set by the component. ``open`` has the open orders by account and client order
    id, ``killed`` the reason by account whose kill switch is engaged, and ``trade_id`` is the id of
    the newest trade.
    """

    def __init__(self, universe: Universe) -> None:
        self.universe = universe
        self.instruments: dict[str, Instrument] = {i.symbol: i for i in universe.instruments}
        self.books = {symbol: Book(symbol) for symbol in universe.symbols}
        self.status = dict.fromkeys(universe.symbols, SymbolStatus.TRADING)
        self.reference = dict.fromkeys(universe.symbols, 0)
        self.balances = _opening(universe)
        self.firm = frozenset(universe.firm_accounts)
        self.open: dict[str, dict[str, Order]] = {account: {} for account in self.balances}
        self.killed: dict[str, str] = {}
        self.trade_id = 0
        self._order_id = 0

    def place(self, request: PlaceOrder, now: int, out: list[Message]) -> Order | None:
        """Accept an order, match it, and rest a GTC order's unfilled quantity in the book.

        Return the order, which may be filled or expired by then; None if it was rejected. A
        rejection changes nothing but the sequence of order ids, and is reported to any account.
        """
        reason = self._refusal(request)
        if reason:
            out.append(report_rejected(request, reason=reason, event_time=now))
            return None
        instrument = self.instruments[request.symbol]
        book = self.books[request.symbol]
        self._order_id += 1
        buy = request.side == BUY
        market = request.type == OrderType.MARKET
        qty = request.qty or _quantity_for(book, buy, request.quote_qty, instrument.lot)
        order = Order(
            self._order_id,
            request.account,
            request.client_order_id,
            request.symbol,
            buy,
            qty,
            0 if market else request.price,
            request.type,
            TimeInForce.IOC if market else request.time_in_force,
            request.stp,
        )
        reason = self._reserve(order, book, instrument)
        if reason:
            out.append(report_rejected(request, reason=reason, event_time=now))
            return None
        self.open[request.account][request.client_order_id] = order
        self._report(order, ExecutionType.NEW, OrderStatus.NEW, now, out)
        budget = -1
        if market and buy:
            funds = self.balances[request.account].free.get(instrument.quote, 0)
            budget = (min(funds, request.quote_qty) if request.quote_qty else funds) * SCALE
        self._match(order, book, instrument, budget, now, out)
        return order

    def quote(
        self, account: str, client_order_id: str, symbol: str, buy: bool, qty: int, price: int
    ) -> Order | None:
        """Rest a synthetic maker's GTC limit order in the book, without reports.

        The effect is that of :meth:`place` for an order that does not cross, at a fraction of the
        cost. ``qty`` and ``price`` must be multiples of the symbol's lot and tick. Return None if
        the order would cross or the free balance does not cover it.
        """
        instrument, book = self.instruments[symbol], self.books[symbol]
        self._order_id += 1
        order = Order(self._order_id, account, client_order_id, symbol, buy, qty, price)
        if book.crosses(order):
            return None
        asset = instrument.quote if buy else instrument.base
        if not self.balances[account].lock(asset, notional(price, qty) if buy else qty):
            return None
        self.open[account][client_order_id] = order
        book.rest(order)
        return order

    def cancel(
        self, account: str, client_order_id: str, now: int, out: list[Message], reason: str = ""
    ) -> bool:
        """Cancel the open order of ``account`` with this id. Return False if there is none.

        ``reason`` is put into the execution report.
        """
        order = self.open.get(account, {}).get(client_order_id)
        if order is None:
            return False
        self.books[order.symbol].remove(order)
        self._close(order)
        self._report(order, ExecutionType.CANCELED, OrderStatus.CANCELED, now, out, reason)
        return True

    def cancel_all(
        self, account: str, symbol: str, now: int, out: list[Message], reason: str = ""
    ) -> int:
        """Cancel the open orders of ``account``, on ``symbol`` only unless that is empty.

        Return how many were canceled.
        """
        ids = [i for i, o in self.open.get(account, {}).items() if symbol in ("", o.symbol)]
        for client_order_id in ids:
            self.cancel(account, client_order_id, now, out, reason)
        return len(ids)

    def set_kill_switch(
        self, account: str, engaged: bool, reason: str, now: int, out: list[Message]
    ) -> None:
        """Engage or release the kill switch of ``account``.

        Engaging cancels all its open orders; new ones are rejected until the switch is released.
        """
        cancelled = 0
        if engaged:
            self.killed[account] = reason
            cancelled = self.cancel_all(account, "", now, out, f"KILL_SWITCH {reason}")
        else:
            self.killed.pop(account, None)
        out.append(KillSwitchChanged(account, engaged, cancelled, reason, now))

    def snapshot(self, to: str, request_id: str, account: str, now: int) -> AccountSnapshot:
        """Return the balances and a summary of the open orders of ``account``, for ``to``.

        Raises KeyError for an unknown account.
        """
        balances = self.balances[account]
        orders = self.open[account].values()
        return AccountSnapshot(
            to,
            request_id,
            account,
            tuple(
                Balance(asset, amount, balances.locked[asset])
                for asset, amount in balances.free.items()
            ),
            len(orders),
            sum(notional(o.limit, o.leaves_qty) for o in orders),
            account in self.killed,
            self.trade_id,
            now,
        )

    def state(self) -> dict[str, Any]:
        """Return everything that decides future behaviour, as plain data to be compared."""
        return {
            "books": {s: _book_state(b) for s, b in self.books.items()},
            "status": dict(self.status),
            "reference": dict(self.reference),
            "balances": {
                a: {"free": dict(b.free), "locked": dict(b.locked)}
                for a, b in self.balances.items()
            },
            "open": {a: {i: o.order_id for i, o in x.items()} for a, x in self.open.items()},
            "killed": dict(self.killed),
            "trade_id": self.trade_id,
            "order_id": self._order_id,
        }

    def _refusal(self, order: PlaceOrder) -> str:
        """Return why the order is rejected before it is looked at by the book, or ""."""
        instrument = self.instruments.get(order.symbol)
        if instrument is None:
            return f"UNKNOWN_SYMBOL {order.symbol}"
        if order.account not in self.balances:
            return f"UNKNOWN_ACCOUNT {order.account}"
        if order.account in self.killed:
            return f"ACCOUNT_KILLED {self.killed[order.account]}"
        if self.status[order.symbol] is not SymbolStatus.TRADING:
            return f"MARKET_{self.status[order.symbol]} {order.symbol}"
        if order.client_order_id in self.open[order.account]:
            return f"DUPLICATE_CLIENT_ORDER_ID {order.client_order_id}"
        return refusal(order, instrument, self.reference[order.symbol])

    def _reserve(self, order: Order, book: Book, instrument: Instrument) -> str:
        """Lock the balance that the order needs; return the reason if it must be rejected.

        An empty reason means that the balance is locked. A MARKET buy locks nothing: what it costs
        is known only after matching, which is bounded by a budget instead. With a reason, nothing
        is locked.
        """
        market = order.type == OrderType.MARKET
        if not order.qty or (market and not _best_opposite(book, order.buy)):
            return "NO_LIQUIDITY"
        if order.type == OrderType.LIMIT_MAKER and book.crosses(order):
            return "WOULD_TAKE_LIQUIDITY"
        if order.time_in_force == TimeInForce.FOK and book.available(order) < order.qty:
            return "FOK_NOT_FILLABLE"
        if order.buy and not order.limit:
            return ""
        asset = instrument.quote if order.buy else instrument.base
        amount = notional(order.limit, order.qty) if order.buy else order.qty
        if not self.balances[order.account].lock(asset, amount):
            return f"INSUFFICIENT_BALANCE {asset}"
        return ""

    def _match(
        self,
        taker: Order,
        book: Book,
        instrument: Instrument,
        budget: int,
        now: int,
        out: list[Message],
    ) -> None:
        """Match an accepted order, settle the fills, and rest or close what is left of it."""
        result = book.match(taker, budget, instrument.lot)
        if result.fills:
            self._settle(taker, result.fills, instrument, now, out)
        for maker in result.expired_makers:
            self._close(maker)
            self._report(maker, *_PREVENTED, now, out)
        if result.taker_expired:
            self._close(taker)
            self._report(taker, *_PREVENTED, now, out)
        elif not taker.leaves_qty:
            self._close(taker)
        elif taker.time_in_force == TimeInForce.GTC:
            book.rest(taker)
        else:
            self._close(taker)
            self._report(
                taker, ExecutionType.EXPIRED, OrderStatus.EXPIRED, now, out, "UNFILLED_REMAINDER"
            )

    def _settle(
        self, taker: Order, fills: list[Fill], instrument: Instrument, now: int, out: list[Message]
    ) -> None:
        """Exchange the assets of each fill and report it.

        A buyer with a limit has locked the quote amount at its own limit price; what a better
        price saves becomes free. Amounts are exact, because prices are on tick and sizes on lot.
        """
        base, quote, firm = instrument.base, instrument.quote, self.firm
        # The taker has all fills already: count its unfilled quantity down for the reports.
        leaves_qty = taker.leaves_qty + sum(size for _, _, size in fills)
        for maker, price, size in fills:
            cost = price * size // SCALE
            self.trade_id += 1
            leaves_qty -= size
            maker.cum_quote += cost
            taker.cum_quote += cost
            buyer, seller = (taker, maker) if taker.buy else (maker, taker)
            buyer_balances = self.balances[buyer.account]
            if buyer.limit:
                locked = buyer.limit * size // SCALE
                buyer_balances.locked[quote] -= locked
                buyer_balances.free[quote] += locked - cost
            else:
                buyer_balances.free[quote] -= cost
            buyer_balances.receive(base, size)
            seller_balances = self.balances[seller.account]
            seller_balances.locked[base] -= size
            seller_balances.receive(quote, cost)
            if not maker.leaves_qty:
                self._close(maker)
            out.append(
                Trade(
                    self.trade_id,
                    taker.symbol,
                    price,
                    size,
                    cost,
                    buyer.account,
                    seller.account,
                    buyer.order_id,
                    seller.order_id,
                    maker.buy,
                    now,
                )
            )
            for order, unfilled in ((taker, leaves_qty), (maker, maker.leaves_qty)):
                if order.account in firm:
                    out.append(
                        build_report(
                            order,
                            order_id=order.order_id,
                            price=order.limit,
                            execution_type=_TRADE,
                            status=_PARTIALLY_FILLED if unfilled else _FILLED,
                            cum_qty=order.qty - unfilled,
                            cum_quote=order.cum_quote,
                            last_qty=size,
                            last_price=price,
                            trade_id=self.trade_id,
                            is_maker=order is maker,
                            event_time=now,
                        )
                    )

    def _close(self, order: Order) -> None:
        """Remove an order from the open orders, if it is one, and unlock what it had locked."""
        removed = self.open[order.account].pop(order.client_order_id, None)
        if removed is None or not order.leaves_qty:
            return
        instrument = self.instruments[order.symbol]
        balances = self.balances[order.account]
        if not order.buy:
            balances.unlock(instrument.base, order.leaves_qty)
        elif order.limit:
            balances.unlock(instrument.quote, notional(order.limit, order.leaves_qty))

    def _report(
        self,
        order: Order,
        execution_type: ExecutionType,
        status: OrderStatus,
        now: int,
        out: list[Message],
        reason: str = "",
    ) -> None:
        """Report a change that is no fill, if the order belongs to the firm."""
        if order.account in self.firm:
            out.append(
                build_report(
                    order,
                    order_id=order.order_id,
                    price=order.limit,
                    execution_type=execution_type,
                    status=status,
                    cum_qty=order.qty - order.leaves_qty,
                    cum_quote=order.cum_quote,
                    reason=reason,
                    event_time=now,
                )
            )


def _opening(universe: Universe) -> dict[str, Balances]:
    assets = [a.name for a in universe.assets]
    balances = {
        a.name: Balances([(asset, dict(a.balances).get(asset, 0)) for asset in assets])
        for a in universe.accounts
    }
    for account in (MAKER_ACCOUNT, NOISE_ACCOUNT):
        balances[account] = Balances([(asset, _SYNTHETIC_OPENING) for asset in assets])
    return balances


def _best_opposite(book: Book, buy: bool) -> int:
    """Return the best price that an order would meet, or 0 if the other side is empty."""
    return book.best_ask if buy else book.best_bid


def _quantity_for(book: Book, buy: bool, quote: int, lot: int) -> int:
    """Return how much of the base asset ``quote`` units buy or sell for in the book, in whole lots.

    Less than that if the other side of the book is not deep enough.
    """
    side = book.asks if buy else book.bids
    budget, total = quote * SCALE, 0
    for key in reversed(side.keys):
        price = abs(key)
        for maker in side.levels[key].values():
            size = min(maker.leaves_qty, budget // price)
            total += size
            budget -= size * price
            if size < maker.leaves_qty:
                return total - total % lot
    return total - total % lot


def _book_state(book: Book) -> list[list[int]]:
    """Return both sides from the worst price to the best, each level from the oldest order on."""
    return [
        [order_id, order.limit, order.leaves_qty, order.cum_quote]
        for side in (book.bids, book.asks)
        for key in side.keys
        for order_id, order in side.levels[key].items()
    ]
