"""The result of a run: the verdict with its evidence.

These are plain records. msgspec writes them as JSON into verdict.json, into the statement that is
signed, and into HTTP responses.
"""

from enum import StrEnum

import msgspec

from trading.messages.audit import Correlation, Discrepancy
from trading.messages.chaos import Phase as Phase
from trading.messages.chaos import RunSetup
from trading.messages.risk import Severity


class Outcome(StrEnum):
    """What a verdict says about a run."""

    PASS = "Pass"  # noqa: S105
    FAIL = "Fail"
    INCONCLUSIVE = "Inconclusive"
    ABORTED = "Aborted"
    ERROR = "Error"


class PhaseStart(msgspec.Struct, frozen=True):
    """A phase of the run and the simulated microsecond at which it began."""

    phase: Phase
    at: int


class FaultOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The life of one fault. Times are simulated microseconds, 0 for what never happened.

    The coordinator requested the fault at ``requested_at``, and the service that plays it reported
    at ``applied_at`` that it had begun. ``injected_at`` is the event time of the first evidence in
    the data plane, and ``evidence`` describes that evidence. ``recovered_at`` is when the data
    plane was observed to be normal again.
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


class ExpectationOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """Whether one expectation of the scenario was met, and by what.

    ``latency`` is the time from the verified injection to the detection in simulated microseconds,
    at least 0, or -1 without a detection; ``within`` is its limit. ``reason`` tells people why the
    expectation was not met; it is empty if it was. ``subject``, ``observed`` and ``limit`` are
    copied from the alert.
    """

    label: str
    kind: str
    name: str
    of: str
    within: int
    met: bool
    latency: int = -1
    detected_at: int = 0
    subject: str = ""
    observed: str = ""
    limit: str = ""
    reason: str = ""


class RecoveryOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the system recovered in time.

    ``took`` is the time from the end of the last fault to the verified recovery in simulated
    microseconds, -1 if there was no recovery; ``within`` is its limit.
    """

    recovered: bool
    within: int
    took: int = -1
    reason: str = ""


class JournalHead(msgspec.Struct, frozen=True):
    """The number of entries in a journal, and the last hash of its chain in hexadecimal."""

    events: int
    head: str


class AuditOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The audit correlator's report, and the heads of all journals at the end of the run."""

    complete: bool
    events: int = 0
    root: str = ""
    coverage_ppm: int = 0
    discrepancies: tuple[Discrepancy, ...] = ()
    correlations: tuple[Correlation, ...] = ()
    false_alarms: int = 0
    journals: dict[str, JournalHead] = msgspec.field(default_factory=dict)


class ConditionType(StrEnum):
    """What the conditions of a run are about."""

    STEADY_STATE = "SteadyState"
    FAULT_VERIFIED = "FaultVerified"
    DETECTED = "Detected"
    RECOVERED = "Recovered"
    AUDIT_VERIFIED = "AuditVerified"
    COMPLETE = "Complete"


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A condition in the sense of Kubernetes.

    ``status`` is True, False or Unknown; ``reason`` is one word in upper camel case.
    """

    type: ConditionType
    status: str
    reason: str
    message: str
    last_transition_time: int


class AlertOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One alert that fired during the run, whether it was expected or not.

    Times are simulated microseconds; ``resolved_at`` is 0 if the alert still fired at the end.
    ``expected`` says whether an expectation of the scenario names this alert. ``monitor`` is the
    user's monitor that raised it, with the ``labels`` that it gave; both are empty for the built-in
    risk monitor.
    """

    rule: str
    subject: str
    severity: Severity
    observed: str
    limit: str
    event_time: int
    detected_at: int
    resolved_at: int
    expected: bool
    monitor: str = ""
    labels: dict[str, str] = {}


class MonitorDetection(msgspec.Struct, frozen=True, kw_only=True):
    """What one monitor made of one fault.

    ``alert`` is its first alert after the fault was applied that does not also fire without faults,
    with its ``subject``; empty if there was none. ``latency`` is from the verified injection to
    that alert, 0 if it came before; both times are simulated microseconds.
    """

    fault: str
    alert: str = ""
    subject: str = ""
    detected_at: int = 0
    latency: int = 0


class MonitorOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one monitor did in a run: what it detected, and how many alerts it raised.

    ``program`` is what was run as the monitor; ``open_loop`` says that its alerts came from a file,
    so that it could not stop anything. ``failure`` says why it could not be judged.
    ``unexpected`` counts the alerts before the first fault, and those that also fire without
    faults.
    """

    name: str
    program: str = ""
    open_loop: bool = False
    failure: str = ""
    detections: tuple[MonitorDetection, ...] = ()
    alerts: int = 0
    unexpected: int = 0


class ControlRun(msgspec.Struct, frozen=True, kw_only=True):
    """The control run: the same market without the faults.

    It went to the simulated time ``until`` in microseconds; 0 means that there was no control run.
    ``signals`` are the alerts that fired in it as (rule, subject), and the states of the circuit
    breaker as ("breaker", state).
    """

    until: int = 0
    signals: tuple[tuple[str, str], ...] = ()


class MonitorBaseline(msgspec.Struct, frozen=True, kw_only=True):
    """What the monitors of the user's did in the control run, which only they can compute.

    ``signals`` are their alerts as in :class:`ControlRun`, and ``failures`` says why some of them
    broke, by their names.
    """

    signals: tuple[tuple[str, str], ...] = ()
    failures: dict[str, str] = {}


class ClockRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How simulated time advanced.

    ``mode`` is virtual or wall. ``speed`` is in simulated seconds per wall-clock second; for a
    virtual clock it is the upper limit, and None means that there was none. ``waited`` tells for
    each service how many wall-clock seconds simulated time waited for it. It differs from run to
    run, and nothing else in a verdict depends on it.
    """

    mode: str = "virtual"
    speed: float | None = None
    waited: dict[str, float] = {}


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on a run, with everything that it is based on.

    ``reasons`` says why ``outcome`` is not Pass. ``alerts`` holds every alert that fired, expected
    or not. ``monitors`` compares the judged monitors, if the scenario names any. ``command`` is a
    shell command that repeats the run in one process (embedded). Times are simulated microseconds.
    """

    scenario: str
    description: str
    seed: int
    outcome: Outcome
    reasons: tuple[str, ...]
    started_at: int
    ended_at: int
    phases: tuple[PhaseStart, ...]
    faults: tuple[FaultOutcome, ...]
    expectations: tuple[ExpectationOutcome, ...]
    recovery: RecoveryOutcome
    audit: AuditOutcome
    conditions: tuple[Condition, ...]
    alerts: tuple[AlertOutcome, ...] = ()
    control: ControlRun = ControlRun()
    setup: RunSetup = msgspec.field(default_factory=RunSetup)
    command: str = ""
    monitors: tuple[MonitorOutcome, ...] = ()
    clock: ClockRecord = ClockRecord()
