"""Klines: where they begin, how they are merged, and when a stream calls one closed."""

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.api.exchange.depth import DepthAccumulator, DepthUpdate
from trading.api.exchange.history import Kline
from trading.api.exchange.klines import INTERVALS, end_of, merged, start_of
from trading.units import MINUTE, SECOND


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("interval", "start", "end"),
    [
        ("5m", "2026-03-05T13:45:00", "2026-03-05T13:50:00"),
        ("4h", "2026-03-05T12:00:00", "2026-03-05T16:00:00"),
        ("1d", "2026-03-05T00:00:00", "2026-03-06T00:00:00"),
        ("1w", "2026-03-02T00:00:00", "2026-03-09T00:00:00"),
        ("1M", "2026-03-01T00:00:00", "2026-04-01T00:00:00"),
    ],
)
def test_where_a_kline_begins_and_ends(interval: str, start: str, end: str) -> None:
    actual = start_of(interval, us("2026-03-05T13:47:31"))
    assert (actual, end_of(interval, actual)) == (us(start), us(end))
    assert start_of(interval, us(end)) == us(end)


def test_december_is_followed_by_january() -> None:
    assert end_of("1M", us("2026-12-01T00:00:00")) == us("2027-01-01T00:00:00")


def kline_of(minute: int, *trades: tuple[int, int]) -> Kline:
    price = trades[0][0]
    bar = Kline(minute * MINUTE, price, price, price, price)
    for number, (at, qty) in enumerate(trades):
        bar.add(minute * 10 + number, at, qty, at * qty, True)
    return bar


def test_minutes_are_put_together_and_gaps_filled_at_the_last_price() -> None:
    minutes = [kline_of(0, (10, 1), (14, 2)), kline_of(2, (9, 3)), kline_of(15, (20, 1))]
    first, second, third, fourth = merged(minutes, "5m")
    assert (first.open, first.high, first.low, first.close) == (10, 14, 9, 9)
    assert (first.volume, first.trades, first.first_id, first.last_id) == (6, 3, 0, 20)
    assert [(b.open, b.close, b.volume, b.trades) for b in (second, third)] == [(9, 9, 0, 0)] * 2
    assert [b.start // MINUTE for b in (first, second, third, fourth)] == [0, 5, 10, 15]
    assert (fourth.open, fourth.volume) == (20, 1)


@given(st.lists(st.integers(0, 1400), min_size=1, max_size=50, unique=True), st.integers())
def test_nothing_traded_is_lost(starts: list[int], seed: int) -> None:
    rng = random.Random(seed)
    minutes = [kline_of(m, (rng.randint(1, 9), rng.randint(1, 9))) for m in sorted(starts)]
    for interval in INTERVALS:
        bars = merged(minutes, interval)
        assert sum(b.volume for b in bars) == sum(m.volume for m in minutes)
        assert sum(b.trades for b in bars) == len(minutes)
        assert [end_of(interval, b.start) for b in bars[:-1]] == [b.start for b in bars[1:]]


def test_gathered_updates_are_one_with_the_newest_of_each_price() -> None:
    accumulator = DepthAccumulator()
    assert accumulator.flush("X") is None
    accumulator.add(DepthUpdate("X", 5, 6, [(10, 1), (9, 2)], []))
    accumulator.add(DepthUpdate("X", 7, 9, [(10, 0)], [(11, 3)]))
    assert accumulator.flush("X") == DepthUpdate("X", 5, 9, [(10, 0), (9, 2)], [(11, 3)])
    accumulator.add(DepthUpdate("X", 10, 10, [], [(11, 0)]))
    assert accumulator.flush("X") == DepthUpdate("X", 10, 10, [], [(11, 0)])
