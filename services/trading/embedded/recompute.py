"""Compute a run again from its plan and from what its journals say came from outside.

What a component received from another one is no evidence of its own: the other one sends it again.
So a message that nobody sent, or that was taken out, makes a difference to the journals.
"""

from collections.abc import Iterable, Iterator
from heapq import merge
from pathlib import Path

import msgspec

from trading.embedded.ecosystem import build
from trading.embedded.run import Arrival, judged, over
from trading.messages import Message
from trading.messages.chaos import AbortRun
from trading.messages.orders import CancelAllOrders, CancelOrder, PlaceOrder
from trading.messages.risk import AcknowledgeAlert, ResetBreaker, SilenceRule, TripBreaker
from trading.runtime.journal import RECEIVED, Journal, from_ndjson, kind_of
from trading.runtime.kernel import Kernel
from trading.runtime.replay import received
from trading.scenario.plan import RunPlan
from trading.scenario.result import Verdict
from trading.topology import EXCHANGE, RISK_MONITOR, TEST_COORDINATOR

#: What the APIs send into a run.
FROM_OUTSIDE: dict[str, tuple[type[Message], ...]] = {
    EXCHANGE: (PlaceOrder, CancelOrder, CancelAllOrders),
    RISK_MONITOR: (AcknowledgeAlert, SilenceRule, TripBreaker, ResetBreaker),
    TEST_COORDINATOR: (AbortRun,),
}


class Recomputed(msgspec.Struct, frozen=True):
    """What a run must have left: its verdict, and its journals by component."""

    verdict: Verdict
    journals: dict[str, Journal]


def recompute(plan: RunPlan, journals: Path, *, control: bool) -> Recomputed:
    """Run ``plan`` again, with what the files in ``journals`` say came from outside, and judge it.
    ``control``: see :func:`trading.embedded.run.run_plan`. A file that is missing or damaged gives
    nothing; it is not what is computed then.
    """
    kernel, coordinator = build(plan)
    arrivals = iter(_arrivals(journals))
    coming = next(arrivals, None)
    while not over(plan, kernel, coordinator):
        while coming is not None and (kernel.next_at is None or coming.at <= kernel.next_at):
            _place(kernel, coming)
            coming = next(arrivals, None)
        if not kernel.step():
            break
    return Recomputed(judged(plan, kernel, coordinator, control=control), kernel.journals)


def _arrivals(journals: Path) -> Iterator[Arrival]:
    """Everything that those components received that are reached from outside, by time."""
    return merge(*(_received(journals, name) for name in FROM_OUTSIDE), key=lambda found: found.at)


def _received(journals: Path, name: str) -> Iterator[Arrival]:
    try:
        with (journals / f"{name}.ndjson").open("rb") as file:
            for line in file:
                entry = from_ndjson(line.rstrip(b"\n"))
                if kind_of(entry.body) == RECEIVED:
                    at, messages = received(entry)
                    yield Arrival(at, name, messages)
    except (OSError, ValueError):
        return


def _place(kernel: Kernel, arrival: Arrival) -> None:
    """Let a component get what is not sent by another one anyway, where it stood in its inbox."""
    kinds = FROM_OUTSIDE[arrival.to]
    due = arrival.at == kernel.next_at
    inbox = kernel.inbox(arrival.to, arrival.at) if due else []
    if arrival.at < kernel.now or len(arrival.messages) <= len(inbox):
        return
    merged = _merged(inbox, arrival.messages, kinds)
    if len(merged) > len(inbox):
        kernel.inbox(arrival.to, arrival.at)[:] = merged


def _merged(
    inbox: list[Message], said: Iterable[Message], kinds: tuple[type[Message], ...]
) -> list[Message]:
    """Return ``inbox`` with those of ``said`` that are not in it and are of one of ``kinds``."""
    sent = iter(inbox)
    expected = next(sent, None)
    merged: list[Message] = []
    for message in said:
        if message == expected:
            merged.append(message)
            expected = next(sent, None)
        elif isinstance(message, kinds):
            merged.append(message)
    if expected is not None:
        merged += [expected, *sent]
    return merged
