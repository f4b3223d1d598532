"""A curve keeps its memory bounded, its points evenly spaced, and its first point."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from trading.runtime.curve import Curve


@given(count=st.integers(0, 500), max_points=st.integers(1, 10).map(lambda n: 2 * n))
def test_points_are_bounded_and_evenly_spaced(count: int, max_points: int) -> None:
    curve = Curve(max_points)
    for at in range(count):
        curve.add(at, -at)
    times = [at for at, _ in curve.points]
    assert len(times) <= max_points
    assert times[:1] == [0][:count]
    assert len({later - earlier for earlier, later in pairwise(times)}) <= 1
    assert all(value == -at for at, value in curve.points)
    # At least half of what fits is kept.
    assert len(times) >= min(count, max_points // 2)


def test_a_curve_that_is_not_full_has_every_point() -> None:
    curve = Curve(4)
    for at in range(4):
        curve.add(at, at)
    assert curve.points == [(0, 0), (1, 1), (2, 2), (3, 3)]
