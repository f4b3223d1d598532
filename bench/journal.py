"""Measure how many chained journal entries are appended, and verified, per second."""

from bench.measure import Figure, best_of
from trading.messages.market import PriceTick
from trading.runtime.journal import MemoryJournal, verify

EVENTS = 300_000
AIM = 300_000


def run() -> list[Figure]:
    """Return the figures of an in-memory journal."""
    ticks = [PriceTick("BTC", 6_500_000_000_000 + i, i, i * 1000) for i in range(1000)]
    journals: list[MemoryJournal] = []

    def append() -> None:
        journal = MemoryJournal("market-data")
        for i in range(EVENTS):
            journal.append(i, "PriceTick", ticks[i % 1000])
        journals[:] = [journal]

    appended = EVENTS / best_of(3, append)
    verified = EVENTS / best_of(3, lambda: verify(journals[0].after(0)))
    return [
        Figure("journal: chained events appended", appended, "/s", f">= {AIM:,}", appended >= AIM),
        Figure("journal: chained events verified", verified, "/s"),
    ]
