"""Whose clock is wrong is said, and by whom it is noticed."""

import pytest

from trading.links.clocks import TOLERANCE, Clocks

SECOND = 10**9


class Wall:
    def __init__(self) -> None:
        self.now = 1_000 * SECOND

    def __call__(self) -> int:
        return self.now


def seen(*theirs: float, took: float = 0) -> Clocks:
    """After an exchange with each peer: ``theirs``: seconds by which its clock is ahead of ours."""
    wall = Wall()
    clocks = Clocks(wall)
    for number, ahead in enumerate(theirs):
        since = clocks.now()
        wall.now += int(took * SECOND)
        shown = str(int(since + took * SECOND / 2 + ahead * SECOND))
        clocks.compare(f"peer{number}", shown, since)
    return clocks


def test_clocks_that_agree_are_no_problem() -> None:
    clocks = seen(0.1, -0.1, TOLERANCE - 1, 1 - TOLERANCE)
    assert clocks.problems() == {}
    assert clocks.problem == ""


def test_one_wrong_clock_is_its_own_problem() -> None:
    clocks = seen(0, 600, 0)
    assert clocks.problems() == {"clock of peer1": "600 s ahead of ours"}
    assert clocks.problem == ""


@pytest.mark.parametrize(
    ("ahead", "text"),
    [(600, "600 s behind those of 3 of 3 peers"), (-600, "600 s ahead of those of 3 of 3 peers")],
)
def test_where_most_peers_disagree_ours_is_wrong(ahead: float, text: str) -> None:
    clocks = seen(ahead, ahead, ahead)
    assert clocks.problem == f"this machine's clock is {text}"
    assert len(clocks.problems()) == 3


def test_a_slow_handshake_is_no_difference() -> None:
    assert seen(0, 0, took=60).problems() == {}


def test_what_is_no_number_changes_nothing() -> None:
    clocks = seen(600)
    for shown in ("", "abc", "-5", "1" * 30, "٣"):
        clocks.compare("peer0", shown, 0)
    assert clocks.problems() == {"clock of peer0": "600 s ahead of ours"}
