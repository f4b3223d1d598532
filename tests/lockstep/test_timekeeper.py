"""The time keeper: which participants are granted what, and for which ones time waits."""

from collections.abc import Mapping

from trading.lockstep.packets import Grant, Joined, Report
from trading.lockstep.timekeeper import TimeKeeper

A, B, C = "market-data", "exchange", "custodian"


def synchronised_keeper(**due: int) -> TimeKeeper:
    """Return a time keeper of three services that are present and synchronised; ``due`` says, by
    first letter, when each has something to do next.
    """
    keeper = TimeKeeper({name: name for name in (A, B, C)}, start=0)
    for name in (A, B, C):
        keeper.on_joined(name, Joined(0, due.get(name[0], -1)))
    first = keeper.next_grants()
    assert {name: grant.until for name, grant in first.items()} == {A: 0, B: 0, C: 0}
    for name, grant in first.items():
        report(keeper, name, grant, due.get(name[0], -1))
    return keeper


def report(
    keeper: TimeKeeper, name: str, grant: Grant, next_at: int = -1, **sent: tuple[int, int]
) -> None:
    """Report a completed grant. ``sent`` has, by the first letter of the receiver, the number of
    the last message and its arrival.
    """
    receivers = {"m": A, "e": B, "c": C}
    numbers: Mapping[str, tuple[int, int]] = {receivers[k]: v for k, v in sent.items()}
    keeper.on_report(name, Report(grant.number, next_at, numbers))


def test_only_those_with_something_to_do_take_part() -> None:
    keeper = synchronised_keeper(m=100, e=100, c=300)
    grants = keeper.next_grants()
    assert set(grants) == {A, B} and {g.until for g in grants.values()} == {100}
    assert keeper.next_grants() == {}
    report(keeper, A, grants[A], 500)
    assert keeper.awaited == [B] and keeper.next_grants() == {}
    report(keeper, B, grants[B], 400)
    assert {name: g.until for name, g in keeper.next_grants().items()} == {C: 300}


def test_a_message_makes_its_receiver_take_part_and_is_expected_by_number() -> None:
    keeper = synchronised_keeper(m=100)
    (grant,) = keeper.next_grants().values()
    report(keeper, A, grant, 900, e=(7, 200))
    grants = keeper.next_grants()
    assert set(grants) == {B} and grants[B].until == 200 and grants[B].expected == {A: 7}
    report(keeper, B, grants[B])
    assert {name: (g.until, g.expected) for name, g in keeper.next_grants().items()} == {
        A: (900, {})
    }


def test_time_waits_for_whoever_is_away() -> None:
    keeper = synchronised_keeper(m=100, e=200)
    keeper.on_disconnected(C)
    assert keeper.next_grants() == {} and keeper.absent == [C]
    keeper.on_joined(C, Joined(0, -1))
    (again,) = keeper.next_grants().items()
    assert again[0] == C and again[1].until == 0


def test_who_comes_back_does_again_what_it_had_done_while_others_are_at_work() -> None:
    keeper = synchronised_keeper(m=100, e=100)
    first = keeper.next_grants()
    report(keeper, A, first[A], 1000, e=(5, 101))
    # The exchange has not reported; market data is killed, and joins again at 0.
    keeper.on_disconnected(A)
    assert keeper.next_grants() == {}
    keeper.on_joined(A, Joined(0, 100))
    again = keeper.next_grants()
    assert set(again) == {A} and again[A].until == 0
    report(keeper, A, again[A], 100)
    assert {name: g.until for name, g in keeper.next_grants().items()} == {A: 100}
    assert keeper.now == 100 and keeper.awaited == [A, B]


def test_a_report_of_an_older_grant_changes_nothing() -> None:
    keeper = synchronised_keeper(m=100)
    (grant,) = keeper.next_grants().values()
    keeper.on_joined(A, Joined(50, 100))
    report(keeper, A, grant, 700)
    assert {g.until for g in keeper.next_grants().values()} == {0}


def test_what_was_sent_counts_though_its_report_is_late() -> None:
    """Market data repeats instants when the exchange joins again, and must be synchronised anew."""
    keeper = synchronised_keeper(m=100, e=100)
    for name, grant in keeper.next_grants().items():
        report(keeper, name, grant, 900)
    keeper.on_joined(A, Joined(0, 100))
    (sync,) = keeper.next_grants().values()
    report(keeper, A, sync, 100)
    (again,) = keeper.next_grants().values()
    keeper.on_joined(B, Joined(100, 900))
    keeper.on_disconnected(A)
    keeper.on_joined(A, Joined(0, 100))
    report(keeper, A, again, 900, c=(3, 500))
    grants = keeper.next_grants()
    for name, grant in grants.items():
        report(keeper, name, grant, 900)
    assert keeper.next_grants()[C].expected == {A: 3}


def test_inputs_arrive_at_a_moment_of_their_own_after_all_that_is_done() -> None:
    keeper = synchronised_keeper(m=100)
    (grant,) = keeper.next_grants().values()
    report(keeper, A, grant, 900)
    keeper.on_wish(B)
    (name, granted) = next(iter(keeper.next_grants().items()))
    assert (name, granted.until, granted.inputs) == (B, 101, True)


def test_nothing_from_outside_arrives_while_somebody_catches_up() -> None:
    keeper = synchronised_keeper(m=100, e=100)
    for name, grant in keeper.next_grants().items():
        report(keeper, name, grant, 900)
    keeper.on_wish(B)
    keeper.on_disconnected(A)
    keeper.on_joined(A, Joined(0, 100))
    (sync,) = keeper.next_grants().values()
    report(keeper, A, sync, 100)
    grants = keeper.next_grants()
    assert {name: (g.until, g.inputs) for name, g in grants.items()} == {A: (100, False)}
    report(keeper, A, grants[A], 900)
    assert {name: g.inputs for name, g in keeper.next_grants().items()} == {B: True}


def test_at_the_end_only_what_was_done_is_done_again() -> None:
    keeper = synchronised_keeper(m=100, e=100)
    for name, grant in keeper.next_grants().items():
        report(keeper, name, grant, 200)
    keeper.ending = True
    assert keeper.next_grants() == {}
    keeper.on_joined(B, Joined(0, 100))
    (sync,) = keeper.next_grants().values()
    report(keeper, B, sync, 100)
    (grant,) = keeper.next_grants().values()
    assert grant.until == 100
    report(keeper, B, grant, 200)
    assert keeper.next_grants() == {} and keeper.synchronised
