"""Who is granted what, and who is waited for."""

from collections.abc import Mapping

from trading.lockstep.packets import Grant, Joined, Report
from trading.lockstep.timekeeper import TimeKeeper

A, B, C = "market-data", "exchange", "custodian"


def keeper(**due: int) -> TimeKeeper:
    """Three services that are there, with what each has to do next; all have received all."""
    made = TimeKeeper({name: name for name in (A, B, C)}, start=0)
    for name in (A, B, C):
        made.joined(name, Joined(0, due.get(name[0], -1)))
    first = made.round()
    assert {name: grant.until for name, grant in first.items()} == {A: 0, B: 0, C: 0}
    for name, grant in first.items():
        done(made, name, grant, due.get(name[0], -1))
    return made


def done(
    made: TimeKeeper, name: str, grant: Grant, next_at: int = -1, **sent: tuple[int, int]
) -> None:
    """``sent``: by the first letter of the receiver, number and arrival."""
    receivers = {"m": A, "e": B, "c": C}
    numbers: Mapping[str, tuple[int, int]] = {receivers[k]: v for k, v in sent.items()}
    made.reported(name, Report(grant.number, next_at, numbers))


def test_only_those_with_something_to_do_take_part() -> None:
    made = keeper(m=100, e=100, c=300)
    grants = made.round()
    assert set(grants) == {A, B} and {g.until for g in grants.values()} == {100}
    assert made.round() == {}
    done(made, A, grants[A], 500)
    assert made.awaited == [B] and made.round() == {}
    done(made, B, grants[B], 400)
    assert {name: g.until for name, g in made.round().items()} == {C: 300}


def test_a_message_makes_its_receiver_take_part_and_is_expected_by_number() -> None:
    made = keeper(m=100)
    (grant,) = made.round().values()
    done(made, A, grant, 900, e=(7, 200))
    grants = made.round()
    assert set(grants) == {B} and grants[B].until == 200 and grants[B].expected == {A: 7}
    done(made, B, grants[B])
    assert {name: (g.until, g.expected) for name, g in made.round().items()} == {A: (900, {})}


def test_time_waits_for_whoever_is_away() -> None:
    made = keeper(m=100, e=200)
    made.left(C)
    assert made.round() == {} and made.missing == [C]
    made.joined(C, Joined(0, -1))
    (again,) = made.round().items()
    assert again[0] == C and again[1].until == 0


def test_who_comes_back_does_again_what_it_had_done_while_others_are_at_work() -> None:
    made = keeper(m=100, e=100)
    first = made.round()
    done(made, A, first[A], 1000, e=(5, 101))
    # The exchange has not reported; market data dies, and comes back at 0.
    made.left(A)
    assert made.round() == {}
    made.joined(A, Joined(0, 100))
    again = made.round()
    assert set(again) == {A} and again[A].until == 0
    done(made, A, again[A], 100)
    assert {name: g.until for name, g in made.round().items()} == {A: 100}
    assert made.now == 100 and made.awaited == [A, B]


def test_a_report_of_an_older_grant_changes_nothing() -> None:
    made = keeper(m=100)
    (grant,) = made.round().values()
    made.joined(A, Joined(50, 100))
    done(made, A, grant, 700)
    assert {g.until for g in made.round().values()} == {0}


def test_what_was_sent_counts_though_its_report_is_late() -> None:
    """Market data is at work again when the exchange comes back, and has to begin once more."""
    made = keeper(m=100, e=100)
    for name, grant in made.round().items():
        done(made, name, grant, 900)
    made.joined(A, Joined(0, 100))
    (sync,) = made.round().values()
    done(made, A, sync, 100)
    (again,) = made.round().values()
    made.joined(B, Joined(100, 900))
    made.left(A)
    made.joined(A, Joined(0, 100))
    done(made, A, again, 900, c=(3, 500))
    grants = made.round()
    for name, grant in grants.items():
        done(made, name, grant, 900)
    assert made.round()[C].expected == {A: 3}


def test_inputs_arrive_at_a_moment_of_their_own_after_all_that_is_done() -> None:
    made = keeper(m=100)
    (grant,) = made.round().values()
    done(made, A, grant, 900)
    made.wished(B)
    (name, granted) = next(iter(made.round().items()))
    assert (name, granted.until, granted.inputs) == (B, 101, True)


def test_nothing_from_outside_arrives_while_somebody_catches_up() -> None:
    made = keeper(m=100, e=100)
    for name, grant in made.round().items():
        done(made, name, grant, 900)
    made.wished(B)
    made.left(A)
    made.joined(A, Joined(0, 100))
    (sync,) = made.round().values()
    done(made, A, sync, 100)
    grants = made.round()
    assert {name: (g.until, g.inputs) for name, g in grants.items()} == {A: (100, False)}
    done(made, A, grants[A], 900)
    assert {name: g.inputs for name, g in made.round().items()} == {B: True}


def test_at_the_end_only_what_was_done_is_done_again() -> None:
    made = keeper(m=100, e=100)
    for name, grant in made.round().items():
        done(made, name, grant, 200)
    made.ending = True
    assert made.round() == {}
    made.joined(B, Joined(0, 100))
    (sync,) = made.round().values()
    done(made, B, sync, 100)
    (grant,) = made.round().values()
    assert grant.until == 100
    done(made, B, grant, 200)
    assert made.round() == {} and made.synchronised
