"""Price-time priority, against a matcher that is too simple to be wrong."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.matching import operations, play
from bench.sorted_book import SortedBook
from trading.exchange.book import Book, Order

#: (kind, account, buy, qty, price, which earlier order to cancel)
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["limit", "limit", "market", "cancel"]),
        st.sampled_from("abc"),
        st.booleans(),
        st.integers(1, 9),
        st.integers(95, 105),
        st.integers(0, 60),
    ),
    max_size=60,
)


class Naive:
    """A list of orders; every match sorts all of it. EXPIRE_MAKER, like the default."""

    def __init__(self) -> None:
        self.resting: list[Order] = []

    def match(self, taker: Order) -> list[tuple[int, int, int]]:
        fills = []
        while taker.leaves_qty:
            rivals = [o for o in self.resting if o.buy != taker.buy]
            if taker.limit:
                rivals = [
                    o
                    for o in rivals
                    if (o.limit <= taker.limit if taker.buy else o.limit >= taker.limit)
                ]
            if not rivals:
                break
            sign = 1 if taker.buy else -1
            best = min(rivals, key=lambda o: (sign * o.limit, o.order_id))
            if best.account == taker.account:
                self.resting.remove(best)
                continue
            size = min(best.leaves_qty, taker.leaves_qty)
            best.leaves_qty -= size
            taker.leaves_qty -= size
            fills.append((best.order_id, best.limit, size))
            if not best.leaves_qty:
                self.resting.remove(best)
        return fills


@settings(max_examples=300)
@given(ACTIONS)
def test_fills_are_those_of_the_naive_matcher(
    actions: list[tuple[str, str, bool, int, int, int]],
) -> None:
    book, naive = Book("BTCUSDT"), Naive()
    for number, (kind, account, buy, qty, price, which) in enumerate(actions, 1):
        if kind == "cancel":
            resting = book.orders.get(which)
            if resting is not None:
                book.remove(resting)
                naive.resting = [o for o in naive.resting if o.order_id != which]
            continue
        limit = price if kind == "limit" else 0
        ours = Order(number, account, "", "BTCUSDT", buy, qty, limit)
        same = Order(number, account, "", "BTCUSDT", buy, qty, limit)
        fills = book.match(ours).fills
        assert [(m.order_id, p, s) for m, p, s in fills] == naive.match(same)
        assert ours.leaves_qty == same.leaves_qty
        if limit and ours.leaves_qty:
            book.rest(ours)
            naive.resting.append(same)
        assert sorted(book.orders) == sorted(o.order_id for o in naive.resting)
        assert not (book.best_bid and book.best_ask) or book.best_bid < book.best_ask


@given(ACTIONS)
def test_no_trade_through_a_better_price(
    actions: list[tuple[str, str, bool, int, int, int]],
) -> None:
    """Every fill is at the best price that rested there, and never worse than the taker's limit."""
    book = Book("BTCUSDT")
    for number, (kind, account, buy, qty, price, _) in enumerate(actions, 1):
        taker = Order(number, account, "", "BTCUSDT", buy, qty, 0 if kind == "market" else price)
        before = sorted(o.limit for o in book.orders.values() if o.buy != buy)
        best = before[0] if before and buy else before[-1] if before else 0
        result = book.match(taker)
        prices = [p for _, p, _ in result.fills]
        assert prices == sorted(prices, reverse=not buy)
        if result.fills and not result.expired_makers:
            assert prices[0] == best
        if taker.limit:
            assert all(p <= taker.limit if buy else p >= taker.limit for p in prices)
            if taker.leaves_qty:
                book.rest(taker)


def test_both_benchmarked_books_trade_the_same() -> None:
    stream = operations(5_000)
    assert play(Book("BTCUSDT"), stream)[1] == play(SortedBook(), stream)[1]
