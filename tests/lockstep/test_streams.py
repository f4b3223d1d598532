"""A stream stores messages until the receiver cannot lose them, and an inbox has only one order."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trading.hosting.streams import Frame, Stream
from trading.messages.base import Wake
from trading.runtime.agenda import Agenda, Origin, SortedAgenda

ARRIVALS = st.lists(st.integers(1, 50), max_size=40)


@given(arrivals=ARRIVALS, durable=st.integers(0, 60), after=st.integers(0, 45))
def test_nothing_is_forgotten_that_arrives_after_what_is_durable(
    arrivals: list[int], durable: int, after: int
) -> None:
    stream = Stream()
    for arrival in arrivals:
        stream.put(Frame(0, arrival, "x", None))
    stream.forget(durable)
    numbers = range(stream.first_kept, stream.last + 1)
    assert stream.last == len(arrivals)
    assert all(a <= durable for a in arrivals[: stream.first_kept - 1])
    assert stream.forgotten_until == max(arrivals[: stream.first_kept - 1], default=0)
    assert [f.arrival for f in stream.after(after)] == [
        arrivals[n - 1] for n in numbers if n > after
    ]


@given(
    sent=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 2)), max_size=30),
    order=st.randoms(use_true_random=False),
)
def test_an_inbox_does_not_depend_on_when_things_arrive(
    sent: list[tuple[int, int, int]], order: Any
) -> None:
    """The order is that of one process: by time, sender, and each sender's own order."""
    messages = sorted((at, rank, number) for number, (at, rank, _) in enumerate(sent))
    plain = Agenda(1)
    for at, rank, number in messages:
        plain.put(10, 0, Wake(number, ""), Origin(at, rank, number))
    by_origin = SortedAgenda(1)
    order.shuffle(messages)
    for at, rank, number in messages:
        by_origin.put(10, 0, Wake(number, ""), Origin(at, rank, number))
    if messages:
        assert by_origin.take() == plain.take()
    assert by_origin.next_at is plain.next_at is None


def test_after_virtual_time_what_was_under_way_keeps_its_order() -> None:
    agenda = SortedAgenda(2)
    agenda.put(20, 1, Wake(2, ""), Origin(2, 0, 1))
    agenda.put(20, 1, Wake(1, ""), Origin(1, 0, 1))
    agenda.settle()
    agenda.put(20, 1, Wake(3, ""), Origin(0, 0, 9))
    assert [m.at for m in agenda.pending()[20][1] if isinstance(m, Wake)] == [1, 2]
    assert agenda.take()[1][1] == [Wake(1, ""), Wake(2, ""), Wake(3, "")]
