"""What has come from other services: in its place, and of a dismissed instance no more."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from trading.lockstep.packets import Resume, SentFrame
from trading.lockstep.receipts import LostMessages, Receipts
from trading.messages import Message
from trading.messages.orders import CancelAllOrders
from trading.runtime.agenda import ACTING_ORDER, OUTSIDE, rank_of
from trading.runtime.kernel import Kernel
from trading.topology import EXCHANGE, INSTANCES, SERVICES, TRADING_ENGINE

START = 1_000
FIRST, SECOND = TRADING_ENGINE, "trading-engine-2"


class Taker:
    """A component that notes the accounts that it is told of."""

    name = EXCHANGE

    def __init__(self) -> None:
        self.seen: list[tuple[int, str]] = []

    def on(self, message: Message, now: int) -> Sequence[Message]:
        if isinstance(message, CancelAllOrders):
            self.seen.append((now, message.account))
        return ()

    def state(self) -> Any:
        return self.seen


class Hosted(NamedTuple):
    kernel: Kernel


def frame(account: str, arrival: int) -> SentFrame:
    return SentFrame(arrival - 10, arrival, EXCHANGE, CancelAllOrders(account))


@pytest.fixture
def taker() -> Taker:
    return Taker()


@pytest.fixture
def kernel(taker: Taker) -> Kernel:
    return Kernel([taker], start=START, run_id="r", started=True, sorted_inboxes=True)


@pytest.fixture
def receipts(kernel: Kernel) -> Receipts:
    made = Receipts(Hosted(kernel))  # type: ignore[arg-type]
    for name in (FIRST, SECOND):
        made.resume(name, Resume(0, 0))
    return made


def test_instances_have_ranks_of_their_own_between_those_of_their_neighbours() -> None:
    ranks = [
        rank_of(service, f"{service}-{number}" if number > 1 else service)
        for service in SERVICES
        for number in range(1, INSTANCES.get(service, 1) + 1)
    ]
    assert ranks == sorted(set(ranks))
    assert max(ranks) < ACTING_ORDER["network"] < OUTSIDE


def test_of_what_two_send_at_one_moment_the_first_one_s_comes_first(
    receipts: Receipts, kernel: Kernel, taker: Taker
) -> None:
    receipts.take(SECOND, TRADING_ENGINE, 1, [frame("c", START + 20)])
    receipts.take(FIRST, TRADING_ENGINE, 1, [frame("x", START + 15)])
    receipts.take(FIRST, TRADING_ENGINE, 2, [frame("a", START + 20), frame("b", START + 20)])
    kernel.run(START + 30)
    assert [account for _, account in taker.seen] == ["x", "a", "b", "c"]


def test_of_a_dismissed_instance_only_what_was_handled_remains(
    receipts: Receipts, kernel: Kernel, taker: Taker
) -> None:
    for name in (FIRST, SECOND):
        frames = [frame(f"{name} early", START + 20), frame(f"{name} late", START + 30)]
        receipts.take(name, TRADING_ENGINE, 1, frames)
    kernel.run(START + 20)
    receipts.dismiss(SECOND, TRADING_ENGINE)
    receipts.resume(SECOND, Resume(7, START + 40))
    receipts.take(SECOND, TRADING_ENGINE, 8, [frame("afterwards", START + 50)])
    kernel.run(START + 60)
    assert [account for _, account in taker.seen] == [
        f"{FIRST} early",
        f"{SECOND} early",
        f"{FIRST} late",
    ]


def test_nothing_more_is_awaited_of_a_dismissed_instance(receipts: Receipts) -> None:
    expected = {FIRST: 1, SECOND: 9}
    receipts.take(FIRST, TRADING_ENGINE, 1, [frame("a", START + 20)])
    assert not receipts.complete(expected)
    receipts.dismiss(SECOND, TRADING_ENGINE)
    assert receipts.complete(expected)
    receipts.dismiss(FIRST, TRADING_ENGINE)
    assert receipts.complete({FIRST: 2})


def test_what_is_sent_again_after_a_snapshot_is_there_once(
    receipts: Receipts, kernel: Kernel
) -> None:
    """A snapshot has what was under way; the sender sends it again. What came from outside, nobody
    sends again.
    """
    receipts.take(FIRST, TRADING_ENGINE, 1, [frame("a", START + 20)])
    kernel.send(EXCHANGE, CancelAllOrders("outside"), START + 20)
    back = Kernel([Taker()], start=START, run_id="r", started=True, sorted_inboxes=True)
    back.thaw(kernel.frozen())
    back.lose_arrivals()
    again = Receipts(Hosted(back))  # type: ignore[arg-type]
    again.resume(FIRST, Resume(0, 0))
    again.take(FIRST, TRADING_ENGINE, 1, [frame("a", START + 20)])
    back.run(START + 30)
    assert back.component(EXCHANGE).state() == [(START + 20, "outside"), (START + 20, "a")]


def test_a_sender_that_comes_back_may_forget_unsent_what_was_handled_before(
    kernel: Kernel, taker: Taker
) -> None:
    """Both were killed, and the sender has come back further behind: it hears how far this service
    is before it has decided its messages again.
    """
    kernel.run(START + 100)
    receipts = Receipts(Hosted(kernel))  # type: ignore[arg-type]
    receipts.resume(FIRST, Resume(5, START + 50))
    receipts.resume(FIRST, Resume(7, START + 100))
    assert receipts.number(FIRST) == 7
    receipts.take(FIRST, TRADING_ENGINE, 8, [frame("a", START + 110)])
    assert receipts.complete({FIRST: 8})
    kernel.run(START + 200)
    assert [account for _, account in taker.seen] == ["a"]


@pytest.mark.parametrize("before", [None, 5])
def test_what_was_not_handled_before_may_not_be_forgotten_unsent(
    kernel: Kernel, before: int | None
) -> None:
    kernel.run(START + 100)
    receipts = Receipts(Hosted(kernel))  # type: ignore[arg-type]
    if before is not None:
        receipts.resume(FIRST, Resume(before, START + 50))
    with pytest.raises(LostMessages, match="trading-engine repeats its messages from 8 on"):
        receipts.resume(FIRST, Resume(7, START + 101))
