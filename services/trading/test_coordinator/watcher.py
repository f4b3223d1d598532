"""What every watcher of a fault has in common."""

from collections.abc import Iterable
from typing import Any

from trading.messages import Message
from trading.test_coordinator.view import View


class Watcher:
    """``injected_at``: event time of the first evidence after ``since``, 0 while there is none.

    ``probes``: pairs of services whose connection the coordinator shall have tried at each beat;
    ``cut_until``: event time at which a fresh one between them failed last, 0 if none did.
    """

    def __init__(self, fault: Any, view: View, since: int) -> None:
        self.fault = fault
        self.view = view
        self.since = since
        self.injected_at = 0
        self.evidence = ""
        self.probes: tuple[tuple[str, str], ...] = ()
        self.cut_until = 0
        self.begin()

    def begin(self) -> None:
        """Remember how things are before the fault."""

    def on(self, message: Message, now: int) -> None:
        """A message of the data plane has come; the view has seen it already."""

    def beat(self, now: int) -> None:
        """Time has passed."""

    def problem(self, now: int) -> str:
        """Why the data plane is not right again; empty when it is."""
        return ""

    def seen(self, event_time: int, evidence: str) -> None:
        if not self.injected_at and event_time >= self.since:
            self.injected_at = event_time
            self.evidence = evidence

    @staticmethod
    def first(problems: Iterable[str]) -> str:
        return next((p for p in problems if p), "")
