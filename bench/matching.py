"""Measure matching: a seeded stream of operations through our order book, and through one on a
SortedDict.
"""

import hashlib
import random
import time
from typing import Any

from bench.measure import Figure
from bench.sorted_book import SortedBook
from trading.exchange.book import Book, Order

OPERATIONS = 200_000
AIM = 1.2

#: Kind (0 limit, 1 cancel, 2 market), order id (of the order to cancel), buy, quantity, price.
Operation = tuple[int, int, bool, int, int]


def operations(count: int, seed: int = 7) -> list[Operation]:
    """Return a seeded stream: half of it new limit orders around a random walk of the mid price,
    two fifths cancels, and the rest market orders.
    """
    rng = random.Random(seed)
    stream: list[Operation] = []
    resting: list[int] = []
    mid = 6_500_000
    for number in range(1, count + 1):
        draw = rng.random()
        mid += rng.choice((-1, 0, 0, 1))
        if draw < 0.40 and len(resting) > 500:
            index = rng.randrange(len(resting))
            resting[index], resting[-1] = resting[-1], resting[index]
            stream.append((1, resting.pop(), False, 0, 0))
        elif draw < 0.48:
            stream.append((2, number, rng.random() < 0.5, rng.randrange(1, 40), 0))
        else:
            buy = rng.random() < 0.5
            distance = min(int(rng.expovariate(0.02)), 400) - 2
            price = mid - distance if buy else mid + distance
            stream.append((0, number, buy, rng.randrange(1, 20), price))
            resting.append(number)
    return stream


def play(book: Any, stream: list[Operation]) -> tuple[float, str]:
    """Apply the stream to a book; return the wall seconds it took, and a digest of every fill. Two
    books must have the same digest.
    """
    digest = hashlib.sha256()
    accounts = [f"account-{i}" for i in range(50)]
    log: list[tuple[int, int, int, int]] = []
    orders, match, rest, remove = book.orders, book.match, book.rest, book.remove
    begun = time.perf_counter()
    for kind, number, buy, qty, price in stream:
        if kind == 1:
            resting = orders.get(number)
            if resting is not None:
                remove(resting)
            continue
        order = Order(number, accounts[number % 50], "", "BTCUSDT", buy, qty, price)
        for maker, at, size in match(order).fills:
            log.append((number, maker.order_id, at, size))
        if kind == 0 and order.leaves_qty:
            rest(order)
    seconds = time.perf_counter() - begun
    digest.update(repr(log).encode())
    return seconds, digest.hexdigest()


def run(count: int = OPERATIONS, rounds: int = 3) -> dict[str, float]:
    """Return operations per second of both books (the best of `rounds`, measured alternately), and
    their ratio. Raises AssertionError if the two books trade differently.
    """
    stream = operations(count)
    ours, theirs = [], []
    for _ in range(rounds):
        seconds, digest = play(Book("BTCUSDT"), stream)
        ours.append(seconds)
        seconds, reference = play(SortedBook(), stream)
        theirs.append(seconds)
        if digest != reference:
            raise AssertionError("the two books do not trade the same")
    return {
        "book": count / min(ours),
        "sorted_dict": count / min(theirs),
        "ratio": min(theirs) / min(ours),
    }


def figures() -> list[Figure]:
    """Run the benchmark; return its figures."""
    results = run()
    ratio = results["ratio"]
    return [
        Figure("matching: operations, our book", results["book"], "/s"),
        Figure("matching: operations, SortedDict book", results["sorted_dict"], "/s"),
        Figure("matching: ours / SortedDict", ratio, "x", f">= {AIM}", ratio >= AIM),
    ]
