"""The test coordinator's observation of a run.

The verdict depends on the plan, on this observation and on the audit report, and on nothing else.
"""

import msgspec

from trading.messages.audit import AuditReport
from trading.messages.chaos import Phase, RunSetup
from trading.messages.monitors import MonitorAlert
from trading.messages.risk import AlertFired
from trading.messages.risk import BreakerState as BreakerState
from trading.messages.risk import Severity as Severity


class SeenAlert(msgspec.Struct, gc=False):
    """An alert, as the coordinator received it.

    All times are simulated microseconds; ``resolved_at`` is 0 while the alert still fires. The
    built-in risk monitor says itself when it detected something; for a ``monitor`` of the user's
    ``detected_at`` is the time of arrival, ``event_time`` the time that it claims, and ``labels``
    are those of the alert.
    """

    alert_id: str
    rule: str
    subject: str
    severity: Severity
    observed: str
    limit: str
    event_time: int
    detected_at: int
    resolved_at: int = 0
    monitor: str = ""
    labels: dict[str, str] = {}

    @property
    def signal(self) -> tuple[str, str]:
        """What identifies the alert in a control run: its rule and subject."""
        return (f"{self.monitor}: {self.rule}" if self.monitor else self.rule, self.subject)


def monitor_alert(message: MonitorAlert, now: int) -> SeenAlert:
    """Return an alert of a user's monitor as an observer holds it, which it reached at ``now``.

    Its subject is the label of this name, or all labels. A label ``severity`` other than critical
    counts as a warning.
    """
    labels = message.labels
    text = ", ".join(f"{name}={value}" for name, value in labels.items())
    return SeenAlert(
        "",
        message.name,
        labels.get("subject", text),
        Severity.CRITICAL if labels.get("severity") == Severity.CRITICAL else Severity.WARNING,
        message.observed,
        "",
        message.claimed_time,
        now,
        monitor=message.monitor,
        labels=labels,
    )


def seen_alert(alert: AlertFired) -> SeenAlert:
    """Return an alert as an observer holds it from the moment in which it fires."""
    return SeenAlert(
        alert.alert_id,
        alert.rule,
        alert.subject,
        alert.severity,
        alert.observed,
        alert.limit,
        alert.event_time,
        alert.detected_time,
    )


class SeenBreaker(msgspec.Struct, gc=False):
    """A change of the circuit breaker to ``state`` at the simulated microsecond ``at``."""

    state: BreakerState
    reason: str
    at: int


class SeenFault(msgspec.Struct, gc=False):
    """The progress of one fault; its fields are those of
    :class:`trading.scenario.result.FaultOutcome`, and ``cut_until``.

    ``cut_until`` belongs to partitions: it is the simulated time at which a new connection between
    the separated services failed last.
    """

    name: str
    kind: str
    requested_at: int = 0
    applied_at: int = 0
    injected_at: int = 0
    evidence: str = ""
    ended_at: int = 0
    end_reason: str = ""
    recovered_at: int = 0
    cut_until: int = 0


class Observation(msgspec.Struct, gc=False, kw_only=True):
    """Everything that the coordinator observed in one run, filled in during the run.

    All times are simulated microseconds, 0 where the event has not happened.

    - ``setup`` is what the coordinator was asked to run.
    - ``phases`` lists the phases of the run, each with its start.
    - ``steady_at`` is when the steady state had held long enough, and ``unsteady`` is the last
      reason why it did not hold.
    - ``monitor_silence`` is the longest time without a message of the risk monitor.
    - ``monitor_failures`` says why monitors of the user's could not be judged, by their names.
    - ``faults_ended_at`` is the end of the last fault. ``recovered_at`` is when the recovery was
      verified, and ``unrecovered`` is the last reason why it was not.
    - ``aborted`` says why the run was ended early, ``halted`` why it could not continue.
    - ``platform_cuts`` says that the platform injected the partitions and had to end them.
    - ``audit`` is the report of the audit correlator, None if there is none.
    """

    setup: RunSetup = msgspec.field(default_factory=RunSetup)
    started_at: int = 0
    ended_at: int = 0
    phases: list[tuple[Phase, int]] = []
    steady_at: int = 0
    unsteady: str = ""
    faults: list[SeenFault] = []
    alerts: list[SeenAlert] = []
    breaker: list[SeenBreaker] = []
    monitor_silence: int = 0
    monitor_failures: dict[str, str] = {}
    faults_ended_at: int = 0
    recovered_at: int = 0
    unrecovered: str = ""
    aborted: str = ""
    halted: str = ""
    platform_cuts: bool = False
    audit: AuditReport | None = None

    def fault(self, name: str) -> SeenFault | None:
        """Return the fault of that name, or None."""
        return next((f for f in self.faults if f.name == name), None)
