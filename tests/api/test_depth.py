"""Order books as clients rebuild them from updates: without gaps, and always equal to
the venue's.
"""

from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from trading.api.exchange.depth import DepthBook
from trading.exchange.book import Book, Order

ORDERS = st.lists(st.tuples(st.booleans(), st.integers(1, 30), st.integers(1, 5)), max_size=40)


@settings(max_examples=200)
@given(rounds=st.lists(ORDERS, min_size=1, max_size=6), cancels=st.randoms())
def test_a_follower_who_applies_every_update_has_the_book(rounds: list, cancels: object) -> None:  # type: ignore[type-arg]
    book, published = Book("BTCUSDT"), DepthBook("BTCUSDT", 100)
    resting: list[Order] = []
    order_ids = count(1)
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    last = 100
    for orders in rounds:
        for buy, price, qty in orders:
            # Bids are below 50 and asks above, so that no orders cross.
            at = price if buy else 50 + price
            order_id = next(order_ids)
            order = Order(order_id, "a", str(order_id), "BTCUSDT", buy, qty, at)
            book.rest(order)
            resting.append(order)
        for order in list(resting)[:: 1 + cancels.randrange(4)]:  # type: ignore[attr-defined]
            book.remove(order)
            resting.remove(order)
        update = published.refresh(book)
        if update is None:
            continue
        assert update.first == last + 1
        last = update.last
        for side, changes in ((bids, update.bids), (asks, update.asks)):
            for price, qty in changes:
                if qty:
                    side[price] = qty
                else:
                    del side[price]
        expected: dict[bool, dict[int, int]] = {True: {}, False: {}}
        for order in resting:
            level = expected[order.buy]
            level[order.limit] = level.get(order.limit, 0) + order.leaves_qty
        assert (bids, asks) == (expected[True], expected[False])
        assert list(published.bids) == sorted(bids, reverse=True)
        assert list(published.asks) == sorted(asks)
    assert published.refresh(book) is None
