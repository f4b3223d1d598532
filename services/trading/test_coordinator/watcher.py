"""The interface of the watchers that verify faults by their effect on the data plane."""

from collections.abc import Iterable
from typing import Any

from trading.messages import Message
from trading.test_coordinator.view import DataPlaneView


class Watcher:
    """Looks for evidence of one fault in the data plane, and later for the end of its effect.

    ``fault`` has the parameters of the fault, ``view`` the observed state of the data plane, and
    ``since`` is the simulated time at which the fault is requested: only later events count as
    evidence. All times are in microseconds.

    ``injected_at`` is the event time of the first evidence, 0 while there is none, and ``evidence``
    describes it. ``probes`` lists pairs of services whose connection the coordinator must probe at
    each beat. ``cut_until`` is the event time of the last failed attempt to open a new connection
    between such a pair, 0 if none has failed.
    """

    def __init__(self, fault: Any, view: DataPlaneView, since: int) -> None:
        self.fault = fault
        self.view = view
        self.since = since
        self.injected_at = 0
        self.evidence = ""
        self.probes: tuple[tuple[str, str], ...] = ()
        self.cut_until = 0
        self.begin()

    def begin(self) -> None:
        """Remember the state of the data plane before the fault."""

    def on(self, message: Message, now: int) -> None:
        """Look for evidence in a message; the view has been updated with it already."""

    def beat(self, now: int) -> None:
        """Look for evidence in the time that has passed, once per beat."""

    def problem(self, now: int) -> str:
        """Describe which effect of the fault persists; empty if the data plane is healthy."""
        return ""

    def record_evidence(self, event_time: int, evidence: str) -> None:
        """Keep the first evidence at or after ``since``; ignore all other."""
        if not self.injected_at and event_time >= self.since:
            self.injected_at = event_time
            self.evidence = evidence

    @staticmethod
    def first(problems: Iterable[str]) -> str:
        """Return the first problem that is not empty; empty if all are."""
        return next((p for p in problems if p), "")
