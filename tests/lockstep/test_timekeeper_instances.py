"""The time keeper with two instances of one service: either may be lost, and the run goes on."""

from collections.abc import Mapping

import pytest

from trading.lockstep.packets import Grant, Joined, Report
from trading.lockstep.timekeeper import TimeKeeper

START = 1_000
ENGINE, SECOND = "trading-engine", "trading-engine-2"
PARTICIPANTS = {
    "exchange": "exchange",
    ENGINE: "trading-engine",
    SECOND: "trading-engine",
    "test-coordinator": "test-coordinator",
}
Sent = dict[str, tuple[int, int]]


class Run:
    """A time keeper, and participants that answer as they are told."""

    def __init__(self) -> None:
        self.keeper = TimeKeeper(PARTICIPANTS, START)
        self.last: dict[str, Grant] = {}

    def join(self, name: str, *, done: int = START, next_at: int = -1, **sent: int) -> list[str]:
        told = {receiver.replace("_", "-"): number for receiver, number in sent.items()}
        return self.keeper.joined(name, Joined(done, next_at, told))

    def all_join(self, next_at: int = START + 10) -> None:
        for name in PARTICIPANTS:
            self.join(name, next_at=next_at)
        self.synchronise(next_at)

    def round(self) -> Mapping[str, Grant]:
        grants = self.keeper.round()
        self.last |= grants
        return grants

    def synchronise(self, next_at: int = -1) -> None:
        """Everybody who is asked to receive what is under way to it has done so."""
        grants = self.round()
        assert {grant.until for grant in grants.values()} == {0}
        for name in grants:
            self.report(name, next_at)

    def report(self, name: str, next_at: int = -1, sent: Sent | None = None) -> None:
        self.keeper.reported(name, Report(self.last[name].number, next_at, sent or {}))

    def instant(self, next_at: int = -1, **sent: Sent) -> int:
        """Grant an instant, which all who take part report; returns when it is."""
        grants = self.round()
        for name in grants:
            self.report(name, next_at, sent.get(name.replace("-", "_")))
        (at,) = {grant.until for grant in grants.values()}
        return at


@pytest.fixture
def run() -> Run:
    made = Run()
    made.all_join()
    return made


def test_a_message_to_a_service_is_expected_by_each_of_its_instances(run: Run) -> None:
    run.instant(exchange={"trading-engine": (3, START + 11)})
    grants = run.round()
    assert grants.keys() == {ENGINE, SECOND}
    assert all(grant.expected == {"exchange": 3} for grant in grants.values())


def test_each_instance_s_messages_are_expected_apart(run: Run) -> None:
    run.instant(
        trading_engine={"exchange": (2, START + 11)}, trading_engine_2={"exchange": (5, START + 12)}
    )
    grants = run.round()
    assert grants.keys() == {"exchange"}
    assert grants["exchange"].expected == {ENGINE: 2, SECOND: 5}


@pytest.mark.parametrize(("lost", "left"), [(ENGINE, SECOND), (SECOND, ENGINE)])
def test_time_goes_on_without_one_of_two(run: Run, lost: str, left: str) -> None:
    assert run.keeper.dispensable(unseen=True) == []
    run.keeper.left(lost)
    assert run.keeper.round() == {}
    assert run.keeper.dispensable(unseen=False) == [lost]
    assert run.keeper.dismiss(lost) == []
    assert lost not in run.keeper
    assert run.keeper.instances("trading-engine") == [left]
    # First everybody keeps what it has had from the one that is dismissed.
    assert not run.keeper.synchronised
    run.synchronise(START + 10)
    assert run.keeper.synchronised
    assert run.round().keys() == PARTICIPANTS.keys() - {lost}


def test_nobody_waits_for_messages_of_a_dismissed_one(run: Run) -> None:
    run.instant(trading_engine={"exchange": (2, START + 11)})
    run.keeper.left(ENGINE)
    run.keeper.dismiss(ENGINE)
    run.synchronise()
    assert run.last["exchange"].expected == {}
    assert run.keeper.awaited == []


def test_time_waits_for_the_last_instance(run: Run) -> None:
    run.keeper.left(ENGINE)
    run.keeper.left(SECOND)
    assert run.keeper.dispensable(unseen=True) == []
    run.join(SECOND, done=START)
    assert run.keeper.dispensable(unseen=False) == [ENGINE]
    run.keeper.dismiss(ENGINE)
    run.keeper.left(SECOND)
    assert run.keeper.dispensable(unseen=True) == []
    assert run.keeper.round() == {}
    assert run.keeper.awaited == [SECOND]


def test_time_waits_for_both_where_another_service_is_away_too(run: Run) -> None:
    run.keeper.left(ENGINE)
    run.keeper.left("exchange")
    assert run.keeper.dispensable(unseen=True) == []
    run.join("exchange")
    assert run.keeper.dispensable(unseen=False) == [ENGINE]


def test_time_waits_for_one_whose_messages_somebody_needs_again(run: Run) -> None:
    """The exchange has lost an instant that it had done with messages of the lost engine."""
    run.instant(trading_engine={"exchange": (2, START + 11)})
    assert run.instant(next_at=START + 20) == START + 11
    run.keeper.left(ENGINE)
    run.keeper.left("exchange")
    assert run.join("exchange", done=START + 10, next_at=START + 20) == []
    assert run.keeper.dispensable(unseen=True) == []
    run.join(ENGINE, done=START + 10, exchange=2)
    run.synchronise()
    run.keeper.left(ENGINE)
    assert run.keeper.dispensable(unseen=True) == []


def test_nobody_needs_again_what_was_sent_to_others(run: Run) -> None:
    run.instant(trading_engine={"test-coordinator": (2, START + 11)})
    run.instant(next_at=START + 20)
    run.keeper.left(ENGINE)
    run.keeper.left("exchange")
    run.join("exchange", done=START, next_at=START + 20)
    assert run.keeper.dispensable(unseen=False) == [ENGINE]


@pytest.mark.parametrize("settled", [False, True])
def test_who_loses_what_a_dismissed_one_has_sent_cannot_go_on(run: Run, settled: bool) -> None:
    run.instant(trading_engine={"exchange": (2, START + 11)})
    run.instant(next_at=START + 20)
    run.keeper.left(ENGINE)
    run.keeper.dismiss(ENGINE)
    if settled:
        run.synchronise(START + 20)
    run.keeper.left("exchange")
    lost = run.join("exchange", done=START + 10, next_at=START + 20)
    assert lost == ([] if settled else [ENGINE])


def test_a_report_from_before_a_dismissal_says_nothing_about_it(run: Run) -> None:
    run.instant(trading_engine={"exchange": (2, START + 11)})
    grants = run.round()
    assert grants.keys() == {"exchange"}
    run.keeper.left(ENGINE)
    run.keeper.dismiss(ENGINE)
    run.report("exchange", START + 20)
    assert not run.keeper.synchronised
    run.keeper.left("exchange")
    assert run.join("exchange", done=START + 10) == [ENGINE]


def test_a_receipt_from_before_a_dismissal_says_nothing_about_it(run: Run) -> None:
    run.instant(trading_engine={"exchange": (2, START + 11)})
    run.instant(next_at=START + 20)
    run.keeper.resynchronise()
    assert run.round().keys() == PARTICIPANTS.keys()
    run.keeper.left(ENGINE)
    run.keeper.dismiss(ENGINE)
    for name in PARTICIPANTS.keys() - {ENGINE}:
        run.report(name, START + 20)
    assert not run.keeper.synchronised
    run.synchronise(START + 20)
    assert run.keeper.synchronised


def test_one_that_never_came_is_dispensable_only_at_the_very_beginning() -> None:
    run = Run()
    for name in PARTICIPANTS.keys() - {SECOND}:
        run.join(name, next_at=START)
    assert run.keeper.dispensable(unseen=False) == []
    assert run.keeper.dispensable(unseen=True) == [SECOND]
    # A time keeper that has come back does not know what it may have sent.
    run = Run()
    for name in PARTICIPANTS.keys() - {SECOND}:
        run.join(name, done=START + 500, next_at=START + 600)
    assert run.keeper.dispensable(unseen=True) == []
