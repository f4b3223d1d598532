"""A wrong clock is reported, by the machine that has it and by its peers."""

import pytest

from trading.links.clocks import TOLERANCE, Clocks

SECOND = 10**9


class Wall:
    """A wall clock in Unix nanoseconds that tests set."""

    def __init__(self) -> None:
        self.now = 1_000 * SECOND

    def __call__(self) -> int:
        return self.now


def compared(*theirs: float, took: float = 0) -> Clocks:
    """Return the clocks after a handshake of ``took`` seconds with each peer, whose clock is ahead
    of this machine's by so many seconds.
    """
    wall = Wall()
    clocks = Clocks(wall)
    for number, ahead in enumerate(theirs):
        since = clocks.now()
        wall.now += int(took * SECOND)
        header = str(int(since + took * SECOND / 2 + ahead * SECOND))
        clocks.compare(f"peer{number}", header, since)
    return clocks


def test_clocks_that_agree_are_no_problem() -> None:
    clocks = compared(0.1, -0.1, TOLERANCE - 1, 1 - TOLERANCE)
    assert clocks.problems() == {}
    assert clocks.problem == ""


def test_one_wrong_clock_is_its_own_problem() -> None:
    clocks = compared(0, 600, 0)
    assert clocks.problems() == {"clock of peer1": "600 s ahead of ours"}
    assert clocks.problem == ""


@pytest.mark.parametrize(
    ("ahead", "text"),
    [(600, "600 s behind those of 3 of 3 peers"), (-600, "600 s ahead of those of 3 of 3 peers")],
)
def test_where_most_peers_disagree_ours_is_wrong(ahead: float, text: str) -> None:
    clocks = compared(ahead, ahead, ahead)
    assert clocks.problem == f"this machine's clock is {text}"
    assert len(clocks.problems()) == 3


def test_a_slow_handshake_is_no_difference() -> None:
    assert compared(0, 0, took=60).problems() == {}


def test_what_is_no_number_changes_nothing() -> None:
    clocks = compared(600)
    for header in ("", "abc", "-5", "1" * 30, "٣"):
        clocks.compare("peer0", header, 0)
    assert clocks.problems() == {"clock of peer0": "600 s ahead of ours"}
