"""Received messages get their place in the inbox, and those of a dismissed instance are ignored."""

from collections.abc import Sequence
from typing import Any

import pytest

from trading.lockstep.packets import Resume, SentFrame
from trading.lockstep.receipts import LostMessages, Receipts
from trading.messages import Message
from trading.messages.orders import CancelAllOrders
from trading.runtime.agenda import ACTING_ORDER, OUTSIDE_RANK, rank_of
from trading.runtime.kernel import Kernel
from trading.topology import EXCHANGE, MAX_INSTANCES, SERVICES, TRADING_ENGINE

START = 1_000
FIRST, SECOND = TRADING_ENGINE, "trading-engine-2"


class Recorder:
    """A component that lists the accounts in its messages, with the times of arrival."""

    name = EXCHANGE

    def __init__(self) -> None:
        self.accounts: list[tuple[int, str]] = []

    def on(self, message: Message, now: int) -> Sequence[Message]:
        """List the account of a message."""
        if isinstance(message, CancelAllOrders):
            self.accounts.append((now, message.account))
        return ()

    def state(self) -> Any:
        """Return the times and accounts so far."""
        return self.accounts


def frame(account: str, arrival: int) -> SentFrame:
    """Return a message that carries an account and was sent 10 µs before its arrival."""
    return SentFrame(arrival - 10, arrival, EXCHANGE, CancelAllOrders(account))


@pytest.fixture
def recorder() -> Recorder:
    """Return the only component."""
    return Recorder()


@pytest.fixture
def kernel(recorder: Recorder) -> Kernel:
    """Return a kernel that hosts the recorder."""
    return Kernel([recorder], start=START, run_id="r", started=True, sorted_inboxes=True)


@pytest.fixture
def receipts(kernel: Kernel) -> Receipts:
    """Return the receipts of that kernel, with a connection from each of two senders."""
    receipts = Receipts(kernel)
    for name in (FIRST, SECOND):
        receipts.resume(name, Resume(0, 0))
    return receipts


def test_instances_have_ranks_of_their_own_between_those_of_their_neighbours() -> None:
    ranks = [
        rank_of(service, f"{service}-{number}" if number > 1 else service)
        for service in SERVICES
        for number in range(1, MAX_INSTANCES.get(service, 1) + 1)
    ]
    assert ranks == sorted(set(ranks))
    assert max(ranks) < ACTING_ORDER["network"] < OUTSIDE_RANK


def test_of_what_two_send_at_one_moment_the_first_one_s_comes_first(
    receipts: Receipts, kernel: Kernel, recorder: Recorder
) -> None:
    receipts.receive(SECOND, TRADING_ENGINE, 1, [frame("c", START + 20)])
    receipts.receive(FIRST, TRADING_ENGINE, 1, [frame("x", START + 15)])
    receipts.receive(FIRST, TRADING_ENGINE, 2, [frame("a", START + 20), frame("b", START + 20)])
    kernel.run(START + 30)
    assert [account for _, account in recorder.accounts] == ["x", "a", "b", "c"]


def test_of_a_dismissed_instance_only_what_was_handled_remains(
    receipts: Receipts, kernel: Kernel, recorder: Recorder
) -> None:
    for name in (FIRST, SECOND):
        frames = [frame(f"{name} early", START + 20), frame(f"{name} late", START + 30)]
        receipts.receive(name, TRADING_ENGINE, 1, frames)
    kernel.run(START + 20)
    receipts.dismiss(SECOND, TRADING_ENGINE)
    receipts.resume(SECOND, Resume(7, START + 40))
    receipts.receive(SECOND, TRADING_ENGINE, 8, [frame("afterwards", START + 50)])
    kernel.run(START + 60)
    assert [account for _, account in recorder.accounts] == [
        f"{FIRST} early",
        f"{SECOND} early",
        f"{FIRST} late",
    ]


def test_nothing_more_is_awaited_of_a_dismissed_instance(receipts: Receipts) -> None:
    expected = {FIRST: 1, SECOND: 9}
    receipts.receive(FIRST, TRADING_ENGINE, 1, [frame("a", START + 20)])
    assert not receipts.complete(expected)
    receipts.dismiss(SECOND, TRADING_ENGINE)
    assert receipts.complete(expected)
    receipts.dismiss(FIRST, TRADING_ENGINE)
    assert receipts.complete({FIRST: 2})


def test_what_is_sent_again_after_a_snapshot_is_there_once(
    receipts: Receipts, kernel: Kernel
) -> None:
    """A snapshot contains messages in flight, which their sender sends again. What came from
    outside is not sent again.
    """
    receipts.receive(FIRST, TRADING_ENGINE, 1, [frame("a", START + 20)])
    kernel.send(EXCHANGE, CancelAllOrders("outside"), START + 20)
    restored = Kernel([Recorder()], start=START, run_id="r", started=True, sorted_inboxes=True)
    restored.restore(kernel.snapshot())
    restored.drop_remote_messages()
    restored_receipts = Receipts(restored)
    restored_receipts.resume(FIRST, Resume(0, 0))
    restored_receipts.receive(FIRST, TRADING_ENGINE, 1, [frame("a", START + 20)])
    restored.run(START + 30)
    assert restored.component(EXCHANGE).state() == [(START + 20, "outside"), (START + 20, "a")]


def test_a_sender_that_comes_back_may_forget_unsent_what_was_handled_before(
    kernel: Kernel, recorder: Recorder
) -> None:
    """Both processes were killed, and the sender was restored to an earlier time than the receiver:
    it learns how far the receiver is durable before it has computed its messages again.
    """
    kernel.run(START + 100)
    receipts = Receipts(kernel)
    receipts.resume(FIRST, Resume(5, START + 50))
    receipts.resume(FIRST, Resume(7, START + 100))
    assert receipts.last_received(FIRST) == 7
    receipts.receive(FIRST, TRADING_ENGINE, 8, [frame("a", START + 110)])
    assert receipts.complete({FIRST: 8})
    kernel.run(START + 200)
    assert [account for _, account in recorder.accounts] == ["a"]


@pytest.mark.parametrize("before", [None, 5])
def test_what_was_not_handled_before_may_not_be_forgotten_unsent(
    kernel: Kernel, before: int | None
) -> None:
    kernel.run(START + 100)
    receipts = Receipts(kernel)
    if before is not None:
        receipts.resume(FIRST, Resume(before, START + 50))
    with pytest.raises(LostMessages, match="trading-engine repeats its messages from 8 on"):
        receipts.resume(FIRST, Resume(7, START + 101))
