"""The venue: orders, balances and trades of all symbols. Matching is :mod:`.book`'s."""

from typing import Any

from trading.exchange.accounts import Balances
from trading.exchange.book import Book, Fill, Order
from trading.exchange.filters import refusal
from trading.messages import Message
from trading.messages.orders import (
    AccountSnapshot,
    Balance,
    ExecutionReport,
    KillSwitchChanged,
    PlaceOrder,
    Trade,
)
from trading.units import SCALE, notional
from trading.universe import MAKER_ACCOUNT, NOISE_ACCOUNT, Instrument, Universe

TRADING = "TRADING"
HALT = "HALT"
CANCEL_ONLY = "CANCEL_ONLY"

#: What the synthetic participants open with, of every asset: more than they can ever trade.
_SYNTHETIC_OPENING = 10**9 * SCALE


class Engine:
    """Every method appends what it decided to ``out``. Reports go to the firm's accounts only."""

    def __init__(self, universe: Universe) -> None:
        self.universe = universe
        self.instruments: dict[str, Instrument] = {i.symbol: i for i in universe.instruments}
        self.books = {symbol: Book(symbol) for symbol in universe.symbols}
        self.status = dict.fromkeys(universe.symbols, TRADING)
        self.reference = dict.fromkeys(universe.symbols, 0)
        self.balances = _opening(universe)
        self.firm = frozenset(universe.firm_accounts)
        self.open: dict[str, dict[str, Order]] = {account: {} for account in self.balances}
        self.killed: dict[str, str] = {}
        self.trade_id = 0
        self._order_id = 0

    def place(self, order: PlaceOrder, now: int, out: list[Message]) -> Order | None:
        """Take an order, match it, rest what is left; None if it was refused."""
        reason = self._refusal(order)
        if reason:
            out.append(_refused(order, reason, now))
            return None
        instrument = self.instruments[order.symbol]
        book = self.books[order.symbol]
        self._order_id += 1
        buy = order.side == "BUY"
        market = order.type == "MARKET"
        qty = order.qty or _quantity_for(book, buy, order.quote_qty, instrument.lot)
        taken = Order(
            self._order_id,
            order.account,
            order.client_order_id,
            order.symbol,
            buy,
            qty,
            0 if market else order.price,
            order.type,
            "IOC" if market else order.time_in_force,
            order.stp,
        )
        reason = self._cannot(taken, book, instrument)
        if reason:
            out.append(_refused(order, reason, now))
            return None
        self.open[order.account][order.client_order_id] = taken
        self._report(taken, "NEW", "NEW", now, out)
        budget = -1
        if market and buy:
            funds = self.balances[order.account].free.get(instrument.quote, 0)
            budget = (min(funds, order.quote_qty) if order.quote_qty else funds) * SCALE
        self._match(taken, book, instrument, budget, now, out)
        return taken

    def quote(
        self, account: str, client_order_id: str, symbol: str, buy: bool, qty: int, price: int
    ) -> Order | None:
        """Rest a maker's GTC limit order on tick and lot, without reports: what :meth:`place` does
        with one that does not cross. None where it would cross, or the balance does not cover it.
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
        """Cancel one open order of ``account``; False if there is none of that id."""
        order = self.open.get(account, {}).get(client_order_id)
        if order is None:
            return False
        self.books[order.symbol].remove(order)
        self._close(order)
        self._report(order, "CANCELED", "CANCELED", now, out, reason=reason)
        return True

    def cancel_all(
        self, account: str, symbol: str, now: int, out: list[Message], reason: str = ""
    ) -> int:
        """Cancel the open orders of ``account`` (on ``symbol``, if not empty); how many."""
        ids = [i for i, o in self.open.get(account, {}).items() if symbol in ("", o.symbol)]
        for client_order_id in ids:
            self.cancel(account, client_order_id, now, out, reason)
        return len(ids)

    def set_kill(
        self, account: str, engaged: bool, reason: str, now: int, out: list[Message]
    ) -> None:
        """Kill functionality: cancel everything and refuse what comes, until it is released."""
        cancelled = 0
        if engaged:
            self.killed[account] = reason
            cancelled = self.cancel_all(account, "", now, out, f"KILL_SWITCH {reason}")
        else:
            self.killed.pop(account, None)
        out.append(KillSwitchChanged(account, engaged, cancelled, reason, now))

    def snapshot(self, to: str, request_id: str, account: str, now: int) -> AccountSnapshot:
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
            sum(notional(o.limit, o.left) for o in orders),
            account in self.killed,
            self.trade_id,
            now,
        )

    def state(self) -> dict[str, Any]:
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
        instrument = self.instruments.get(order.symbol)
        if instrument is None:
            return f"UNKNOWN_SYMBOL {order.symbol}"
        if order.account not in self.balances:
            return f"UNKNOWN_ACCOUNT {order.account}"
        if order.account in self.killed:
            return f"ACCOUNT_KILLED {self.killed[order.account]}"
        if self.status[order.symbol] != TRADING:
            return f"MARKET_{self.status[order.symbol]} {order.symbol}"
        if order.client_order_id in self.open[order.account]:
            return f"DUPLICATE_CLIENT_ORDER_ID {order.client_order_id}"
        return refusal(order, instrument, self.reference[order.symbol])

    def _cannot(self, order: Order, book: Book, instrument: Instrument) -> str:
        """Lock what the order needs, or say what is in its way; nothing is locked then."""
        if not order.qty or (order.type == "MARKET" and not _other_side(book, order.buy)):
            return "NO_LIQUIDITY"
        if order.type == "LIMIT_MAKER" and book.crosses(order):
            return "WOULD_TAKE_LIQUIDITY"
        if order.time_in_force == "FOK" and book.available(order) < order.qty:
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
        fills, expired = book.match(taker, budget, instrument.lot)
        if fills:
            self._settle(taker, fills, instrument, now, out)
        for maker in expired:
            self._close(maker)
            self._report(maker, "TRADE_PREVENTION", "EXPIRED_IN_MATCH", now, out)
        if taker.stp == "EXPIRED":
            self._close(taker)
            self._report(taker, "TRADE_PREVENTION", "EXPIRED_IN_MATCH", now, out)
        elif not taker.left:
            self._close(taker)
        elif taker.time_in_force == "GTC":
            book.rest(taker)
        else:
            self._close(taker)
            self._report(taker, "EXPIRED", "EXPIRED", now, out, reason="UNFILLED_REMAINDER")

    def _settle(
        self, taker: Order, fills: list[Fill], instrument: Instrument, now: int, out: list[Message]
    ) -> None:
        base, quote, firm = instrument.base, instrument.quote, self.firm
        taken = taker.left + sum(size for _, _, size in fills)
        for maker, price, size in fills:
            cost = price * size // SCALE
            self.trade_id += 1
            taken -= size
            maker.cum_quote += cost
            taker.cum_quote += cost
            buyer, seller = (taker, maker) if taker.buy else (maker, taker)
            bought = self.balances[buyer.account]
            if buyer.limit:
                held = buyer.limit * size // SCALE
                bought.locked[quote] -= held
                bought.free[quote] += held - cost
            else:
                bought.free[quote] -= cost
            bought.receive(base, size)
            sold = self.balances[seller.account]
            sold.locked[base] -= size
            sold.receive(quote, cost)
            if not maker.left:
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
            if taker.account in firm:
                self._filled(taker, taken, price, size, False, now, out)
            if maker.account in firm:
                self._filled(maker, maker.left, price, size, True, now, out)

    def _close(self, order: Order) -> None:
        """Forget an order that is done, and give back what it still had locked."""
        if self.open[order.account].pop(order.client_order_id, None) is None or not order.left:
            return
        instrument = self.instruments[order.symbol]
        balances = self.balances[order.account]
        if not order.buy:
            balances.unlock(instrument.base, order.left)
        elif order.limit:
            balances.unlock(instrument.quote, notional(order.limit, order.left))

    def _filled(
        self,
        order: Order,
        left: int,
        price: int,
        size: int,
        maker: bool,
        now: int,
        out: list[Message],
    ) -> None:
        out.append(
            ExecutionReport(
                order.account,
                order.client_order_id,
                order.order_id,
                order.symbol,
                order.side,
                order.type,
                order.time_in_force,
                order.qty,
                order.limit,
                "TRADE",
                "PARTIALLY_FILLED" if left else "FILLED",
                order.qty - left,
                order.cum_quote,
                size,
                price,
                self.trade_id,
                maker,
                "",
                now,
            )
        )

    def _report(
        self, order: Order, kind: str, status: str, now: int, out: list[Message], reason: str = ""
    ) -> None:
        if order.account not in self.firm:
            return
        out.append(
            ExecutionReport(
                order.account,
                order.client_order_id,
                order.order_id,
                order.symbol,
                order.side,
                order.type,
                order.time_in_force,
                order.qty,
                order.limit,
                kind,
                status,
                order.filled if kind != "NEW" else 0,
                order.cum_quote,
                0,
                0,
                0,
                False,
                reason,
                now,
            )
        )


def _opening(universe: Universe) -> dict[str, Balances]:
    assets = [a.name for a in universe.assets]
    made = {
        a.name: Balances([(asset, dict(a.balances).get(asset, 0)) for asset in assets])
        for a in universe.accounts
    }
    for account in (MAKER_ACCOUNT, NOISE_ACCOUNT):
        made[account] = Balances([(asset, _SYNTHETIC_OPENING) for asset in assets])
    return made


def _refused(order: PlaceOrder, reason: str, now: int) -> ExecutionReport:
    return ExecutionReport(
        order.account,
        order.client_order_id,
        0,
        order.symbol,
        order.side,
        order.type,
        order.time_in_force,
        order.qty,
        order.price,
        "REJECTED",
        "REJECTED",
        0,
        0,
        0,
        0,
        0,
        False,
        reason,
        now,
    )


def _other_side(book: Book, buy: bool) -> int:
    return book.best_ask if buy else book.best_bid


def _quantity_for(book: Book, buy: bool, quote: int, lot: int) -> int:
    """How much of the base ``quote`` units are worth in the book now, in whole lots."""
    side = book.asks if buy else book.bids
    budget, total = quote * SCALE, 0
    for key in reversed(side.keys):
        price = abs(key)
        for maker in side.levels[key].values():
            size = min(maker.left, budget // price)
            total += size
            budget -= size * price
            if size < maker.left:
                return total - total % lot
    return total - total % lot


def _book_state(book: Book) -> list[list[int]]:
    return [
        [order_id, order.limit, order.left, order.cum_quote]
        for side in (book.bids, book.asks)
        for key in side.keys
        for order_id, order in side.levels[key].items()
    ]
