"""The time keeper with two instances of one service: the run continues without either of them."""

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
    """A time keeper, and participants that complete their grants as a test says."""

    def __init__(self) -> None:
        self.keeper = TimeKeeper(PARTICIPANTS, START)
        self.last: dict[str, Grant] = {}

    def join(self, name: str, *, done: int = START, next_at: int = -1, **sent: int) -> list[str]:
        """Let a participant join that has handled everything up to ``done``; ``sent`` has the
        number of its last message by receiver. Return the dismissed ones that it needs.
        """
        numbers = {receiver.replace("_", "-"): number for receiver, number in sent.items()}
        return self.keeper.on_joined(name, Joined(done, next_at, numbers))

    def all_join(self, next_at: int = START + 10) -> None:
        """Let all participants join and be synchronised."""
        for name in PARTICIPANTS:
            self.join(name, next_at=next_at)
        self.synchronise(next_at)

    def next_grants(self) -> Mapping[str, Grant]:
        """Return the next grants, and remember the last of each participant."""
        grants = self.keeper.next_grants()
        self.last |= grants
        return grants

    def synchronise(self, next_at: int = -1) -> None:
        """Let all participants receive what is on its way to them."""
        grants = self.next_grants()
        assert {grant.until for grant in grants.values()} == {0}
        for name in grants:
            self.report(name, next_at)

    def report(self, name: str, next_at: int = -1, sent: Sent | None = None) -> None:
        """Report that a participant has completed its last grant."""
        self.keeper.on_report(name, Report(self.last[name].number, next_at, sent or {}))

    def instant(self, next_at: int = -1, **sent: Sent) -> int:
        """Let all participants of the next instant complete it, and return the instant."""
        grants = self.next_grants()
        for name in grants:
            self.report(name, next_at, sent.get(name.replace("-", "_")))
        (at,) = {grant.until for grant in grants.values()}
        return at


@pytest.fixture
def run() -> Run:
    """Return a run that all participants have joined."""
    run = Run()
    run.all_join()
    return run


def test_a_message_to_a_service_is_expected_by_each_of_its_instances(run: Run) -> None:
    run.instant(exchange={"trading-engine": (3, START + 11)})
    grants = run.next_grants()
    assert grants.keys() == {ENGINE, SECOND}
    assert all(grant.expected == {"exchange": 3} for grant in grants.values())


def test_each_instance_s_messages_are_expected_apart(run: Run) -> None:
    run.instant(
        trading_engine={"exchange": (2, START + 11)}, trading_engine_2={"exchange": (5, START + 12)}
    )
    grants = run.next_grants()
    assert grants.keys() == {"exchange"}
    assert grants["exchange"].expected == {ENGINE: 2, SECOND: 5}


@pytest.mark.parametrize(("lost", "left"), [(ENGINE, SECOND), (SECOND, ENGINE)])
def test_time_goes_on_without_one_of_two(run: Run, lost: str, left: str) -> None:
    assert run.keeper.dispensable(unseen=True) == []
    run.keeper.on_disconnected(lost)
    assert run.keeper.next_grants() == {}
    assert run.keeper.dispensable(unseen=False) == [lost]
    assert run.keeper.dismiss(lost) == []
    assert lost not in run.keeper
    assert run.keeper.instances("trading-engine") == [left]
    # First, what the others have received from the dismissed one must become durable.
    assert not run.keeper.synchronised
    run.synchronise(START + 10)
    assert run.keeper.synchronised
    assert run.next_grants().keys() == PARTICIPANTS.keys() - {lost}


def test_nobody_waits_for_messages_of_a_dismissed_one(run: Run) -> None:
    run.instant(trading_engine={"exchange": (2, START + 11)})
    run.keeper.on_disconnected(ENGINE)
    run.keeper.dismiss(ENGINE)
    run.synchronise()
    assert run.last["exchange"].expected == {}
    assert run.keeper.awaited == []


def test_time_waits_for_the_last_instance(run: Run) -> None:
    run.keeper.on_disconnected(ENGINE)
    run.keeper.on_disconnected(SECOND)
    assert run.keeper.dispensable(unseen=True) == []
    run.join(SECOND, done=START)
    assert run.keeper.dispensable(unseen=False) == [ENGINE]
    run.keeper.dismiss(ENGINE)
    run.keeper.on_disconnected(SECOND)
    assert run.keeper.dispensable(unseen=True) == []
    assert run.keeper.next_grants() == {}
    assert run.keeper.awaited == [SECOND]


def test_time_waits_for_both_where_another_service_is_away_too(run: Run) -> None:
    run.keeper.on_disconnected(ENGINE)
    run.keeper.on_disconnected("exchange")
    assert run.keeper.dispensable(unseen=True) == []
    run.join("exchange")
    assert run.keeper.dispensable(unseen=False) == [ENGINE]


def test_time_waits_for_one_whose_messages_somebody_needs_again(run: Run) -> None:
    """The exchange must repeat an instant with messages of the lost engine."""
    run.instant(trading_engine={"exchange": (2, START + 11)})
    assert run.instant(next_at=START + 20) == START + 11
    run.keeper.on_disconnected(ENGINE)
    run.keeper.on_disconnected("exchange")
    assert run.join("exchange", done=START + 10, next_at=START + 20) == []
    assert run.keeper.dispensable(unseen=True) == []
    run.join(ENGINE, done=START + 10, exchange=2)
    run.synchronise()
    run.keeper.on_disconnected(ENGINE)
    assert run.keeper.dispensable(unseen=True) == []


def test_nobody_needs_again_what_was_sent_to_others(run: Run) -> None:
    run.instant(trading_engine={"test-coordinator": (2, START + 11)})
    run.instant(next_at=START + 20)
    run.keeper.on_disconnected(ENGINE)
    run.keeper.on_disconnected("exchange")
    run.join("exchange", done=START, next_at=START + 20)
    assert run.keeper.dispensable(unseen=False) == [ENGINE]


@pytest.mark.parametrize("settled", [False, True])
def test_who_loses_what_a_dismissed_one_has_sent_cannot_go_on(run: Run, settled: bool) -> None:
    run.instant(trading_engine={"exchange": (2, START + 11)})
    run.instant(next_at=START + 20)
    run.keeper.on_disconnected(ENGINE)
    run.keeper.dismiss(ENGINE)
    if settled:
        run.synchronise(START + 20)
    run.keeper.on_disconnected("exchange")
    lost = run.join("exchange", done=START + 10, next_at=START + 20)
    assert lost == ([] if settled else [ENGINE])


def test_a_report_from_before_a_dismissal_says_nothing_about_it(run: Run) -> None:
    run.instant(trading_engine={"exchange": (2, START + 11)})
    grants = run.next_grants()
    assert grants.keys() == {"exchange"}
    run.keeper.on_disconnected(ENGINE)
    run.keeper.dismiss(ENGINE)
    run.report("exchange", START + 20)
    assert not run.keeper.synchronised
    run.keeper.on_disconnected("exchange")
    assert run.join("exchange", done=START + 10) == [ENGINE]


def test_a_receipt_from_before_a_dismissal_says_nothing_about_it(run: Run) -> None:
    run.instant(trading_engine={"exchange": (2, START + 11)})
    run.instant(next_at=START + 20)
    run.keeper.resynchronise()
    assert run.next_grants().keys() == PARTICIPANTS.keys()
    run.keeper.on_disconnected(ENGINE)
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
    # A time keeper that has restarted does not know what the instance may have sent.
    run = Run()
    for name in PARTICIPANTS.keys() - {SECOND}:
        run.join(name, done=START + 500, next_at=START + 600)
    assert run.keeper.dispensable(unseen=True) == []
