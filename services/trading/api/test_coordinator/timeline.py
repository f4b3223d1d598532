"""Read model of what happens in a run: a numbered list of events, which a client can read on from
where it stopped. It is part of snapshots.
"""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from trading.messages import Message
from trading.messages.chaos import (
    FaultApplied,
    FaultEnded,
    FaultInjected,
    FaultRecovered,
    FaultStep,
    Phase,
    PhaseChanged,
)
from trading.messages.risk import (
    AlertFired,
    AlertResolved,
    BreakerChanged,
    PortfolioReported,
    Severity,
)

#: Most events that are kept of a run; later ones are dropped.
MAX_EVENTS = 20_000


class Event(msgspec.Struct, gc=False):
    """An event of a run. `id` counts from 1; `at` is in simulated microseconds; `kind` is phase,
    fault, alert, resolved or breaker. An event of a fault has its name in `fault`, and in `step`
    what happened.
    """

    id: int
    at: int
    kind: str
    text: str
    severity: str = "info"
    fault: str = ""
    step: FaultStep | Literal[""] = ""


class Timeline:
    """The events of a run, and its newest figures: `pnl` in units of 1e-8 USD as of `at`, simulated
    microseconds, and the ids of the alerts that are `firing`.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.phase = Phase.PENDING
        self.pnl = 0
        self.at = 0
        self.firing: dict[str, None] = {}

    def taps(self) -> dict[type[Message], Callable[[Any, int], None]]:
        """Return the handlers of this read model, by type of message."""
        return {
            PhaseChanged: self._on_phase,
            FaultApplied: self._on_applied,
            FaultInjected: self._on_injected,
            FaultEnded: self._on_ended,
            FaultRecovered: self._on_recovered,
            AlertFired: self._on_fired,
            AlertResolved: self._on_resolved,
            BreakerChanged: self._on_breaker,
            PortfolioReported: self._on_portfolio,
        }

    def _add(
        self,
        at: int,
        kind: str,
        text: str,
        severity: str = "info",
        fault: str = "",
        step: FaultStep | Literal[""] = "",
    ) -> None:
        if len(self.events) < MAX_EVENTS:
            number = len(self.events) + 1
            self.events.append(Event(number, at, kind, text, severity, fault, step))

    def _of_fault(
        self, at: int, fault: str, step: FaultStep, what: str, severity: str = "info"
    ) -> None:
        self._add(at, "fault", f"{fault}: {what}", severity, fault, step)

    def _on_phase(self, message: PhaseChanged, now: int) -> None:
        self.phase = message.phase
        self._add(message.event_time, "phase", message.phase)

    def _on_applied(self, message: FaultApplied, now: int) -> None:
        what = f"{message.source} plays it"
        self._of_fault(message.event_time, message.fault_id, FaultStep.APPLIED, what)

    def _on_injected(self, message: FaultInjected, now: int) -> None:
        what = f"verified, {message.evidence}"
        self._of_fault(message.event_time, message.fault_id, FaultStep.INJECTED, what, "fault")

    def _on_ended(self, message: FaultEnded, now: int) -> None:
        what = f"ended, {message.reason}"
        self._of_fault(message.event_time, message.fault_id, FaultStep.ENDED, what)

    def _on_recovered(self, message: FaultRecovered, now: int) -> None:
        self._of_fault(
            message.event_time, message.fault_id, FaultStep.RECOVERED, "recovery verified"
        )

    def _on_fired(self, message: AlertFired, now: int) -> None:
        self.firing[message.alert_id] = None
        text = f"{message.rule} on {message.subject}: {message.observed}, limit {message.limit}"
        self._add(message.detected_time, "alert", text, message.severity)

    def _on_resolved(self, message: AlertResolved, now: int) -> None:
        self.firing.pop(message.alert_id, None)
        self._add(message.event_time, "resolved", f"{message.rule} on {message.subject}")

    def _on_breaker(self, message: BreakerChanged, now: int) -> None:
        text = f"{message.state}: {message.reason}"
        self._add(message.event_time, "breaker", text, Severity.CRITICAL)

    def _on_portfolio(self, message: PortfolioReported, now: int) -> None:
        self.pnl, self.at = message.pnl, now
