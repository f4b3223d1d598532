"""Compute a run again from its plan and from the external messages in its journals.

A message that one component received from another proves nothing: in the new run the other
component sends it again. So a message that was forged, or removed, makes the journals differ.
"""

from collections.abc import Iterable, Iterator
from heapq import merge
from pathlib import Path

import msgspec

from trading.embedded.ecosystem import build
from trading.embedded.run import ExternalMessages, has_ended, judge_run
from trading.messages import Message
from trading.messages.chaos import AbortRun
from trading.messages.monitors import MonitorAlert, MonitorFailed
from trading.messages.orders import CancelAllOrders, CancelOrder, PlaceOrder
from trading.messages.risk import AcknowledgeAlert, ResetBreaker, SilenceRule, TripBreaker
from trading.runtime.journal import RECEIVED, Journal, from_ndjson, kind_of
from trading.runtime.kernel import Kernel
from trading.runtime.replay import decode_received
from trading.scenario.result import Verdict
from trading.scenario.signing import PlanRecord
from trading.topology import EXCHANGE, RISK_MONITOR, TEST_COORDINATOR

#: The messages that APIs send into a run, by the component that receives them.
EXTERNAL_MESSAGES: dict[str, tuple[type[Message], ...]] = {
    EXCHANGE: (PlaceOrder, CancelOrder, CancelAllOrders),
    RISK_MONITOR: (AcknowledgeAlert, SilenceRule, TripBreaker, ResetBreaker),
    TEST_COORDINATOR: (AbortRun, MonitorAlert, MonitorFailed),
}


class RecomputedRun(msgspec.Struct, frozen=True):
    """The verdict and the journals that a run must have left; journals by component."""

    verdict: Verdict
    journals: dict[str, Journal]


def recompute(record: PlanRecord, journals: Path) -> RecomputedRun:
    """Run the plan of ``record`` again with the external messages in the files of ``journals``, and
    judge the run.

    Monitors of the user's do not run again: their answers are external messages, and what they did
    in the control run is in ``record``. A missing or damaged file contributes
    no messages; the comparison with the computed journals will show it.
    """
    plan = record.plan
    kernel, coordinator = build(plan)
    arrivals = iter(_arrivals(journals))
    arrival = next(arrivals, None)
    while not has_ended(plan, kernel, coordinator):
        while arrival is not None and (kernel.next_at is None or arrival.at <= kernel.next_at):
            _insert(kernel, arrival)
            arrival = next(arrivals, None)
        if not kernel.step():
            break
    verdict, _ = judge_run(
        plan, kernel, coordinator, control=record.control, baseline=lambda _: record.baseline
    )
    return RecomputedRun(verdict, kernel.journals)


def _arrivals(journals: Path) -> Iterator[ExternalMessages]:
    """Return what the components that APIs can reach have received, in the order of time."""
    return merge(
        *(_read_arrivals(journals, name) for name in EXTERNAL_MESSAGES),
        key=lambda arrival: arrival.at,
    )


def _read_arrivals(journals: Path, name: str) -> Iterator[ExternalMessages]:
    try:
        with (journals / f"{name}.ndjson").open("rb") as file:
            for line in file:
                entry = from_ndjson(line.rstrip(b"\n"))
                if kind_of(entry.body) == RECEIVED:
                    at, messages = decode_received(entry)
                    yield ExternalMessages(at, name, messages)
    except (OSError, ValueError):
        return


def _insert(kernel: Kernel, arrival: ExternalMessages) -> None:
    """Insert external messages into the inbox of a component, at the position where the journal has
    them among the messages that other components have sent again.
    """
    kinds = EXTERNAL_MESSAGES[arrival.to]
    due = arrival.at == kernel.next_at
    inbox = kernel.inbox(arrival.to, arrival.at) if due else []
    if arrival.at < kernel.now or len(arrival.messages) <= len(inbox):
        return
    merged = _merged(inbox, arrival.messages, kinds)
    if len(merged) > len(inbox):
        kernel.inbox(arrival.to, arrival.at)[:] = merged


def _merged(
    inbox: list[Message], recorded: Iterable[Message], kinds: tuple[type[Message], ...]
) -> list[Message]:
    """Return ``inbox`` with those messages of ``recorded`` that are not in it and are of ``kinds``,
    in the order of ``recorded``.
    """
    sent = iter(inbox)
    expected = next(sent, None)
    merged: list[Message] = []
    for message in recorded:
        if message == expected:
            merged.append(message)
            expected = next(sent, None)
        elif isinstance(message, kinds):
            merged.append(message)
    if expected is not None:
        merged += [expected, *sent]
    return merged
