"""What a run ends in: the verdict with its evidence. Plain data, JSON by msgspec."""

import msgspec

from trading.messages.audit import Correlation, Discrepancy
from trading.messages.chaos import RunSetup

PASS = "Pass"  # noqa: S105
FAIL = "Fail"
INCONCLUSIVE = "Inconclusive"
ABORTED = "Aborted"
ERROR = "Error"

PHASES = (
    "Pending",
    "SteadyState",
    "Injecting",
    "Active",
    "Recovering",
    "Evaluating",
    "Completed",
    "Aborted",
    "Error",
)


class PhaseStart(msgspec.Struct, frozen=True):
    phase: str
    at: int


class FaultOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """Times in microseconds of simulated time, 0 where it never came. ``injected_at``: event time
    of the first evidence in the data plane, ``evidence`` says which. ``recovered_at``: the data
    plane was seen to be right again.
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
    """``latency``: detected less injected, never below 0; -1 where there was no detection.
    ``reason`` says why it was not met, for people; empty when it was.
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
    """``took``: from the end of the last fault to the verified recovery, -1 if it never came."""

    recovered: bool
    within: int
    took: int = -1
    reason: str = ""


class JournalHead(msgspec.Struct, frozen=True):
    """``head``: hex of the chain's last hash."""

    events: int
    head: str


class AuditOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The audit correlator's report, and the heads of every journal at the end of the run."""

    complete: bool
    events: int = 0
    root: str = ""
    coverage_ppm: int = 0
    discrepancies: tuple[Discrepancy, ...] = ()
    correlations: tuple[Correlation, ...] = ()
    false_alarms: int = 0
    journals: dict[str, JournalHead] = msgspec.field(default_factory=dict)


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """As in Kubernetes. ``type``: SteadyState, FaultVerified, Detected, Recovered, AuditVerified,
    Complete. ``status``: True, False or Unknown. ``reason``: UpperCamel.
    """

    type: str
    status: str
    reason: str
    message: str
    last_transition_time: int


class AlertOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One alert that fired. ``expected``: an expectation asks for it. Times in microseconds of
    simulated time; ``resolved_at`` 0 while it still fires at the end.
    """

    rule: str
    subject: str
    severity: str
    observed: str
    limit: str
    event_time: int
    detected_at: int
    resolved_at: int
    expected: bool


class ControlRun(msgspec.Struct, frozen=True, kw_only=True):
    """The same market without the faults, up to the simulated time ``until`` in microseconds; 0: it
    was not run. ``signals``: the (rule, subject) that fired in it, and ("breaker", state).
    """

    until: int = 0
    signals: tuple[tuple[str, str], ...] = ()


class ClockRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How simulated time went on. ``mode``: virtual or wall; ``speed``: simulated seconds per wall
    second, of a virtual clock the ceiling, None: as fast as the machine could. ``waited``: for how
    many wall seconds time waited for each service. It differs from run to run, and nothing else of
    a verdict depends on it.
    """

    mode: str = "virtual"
    speed: float | None = None
    waited: dict[str, float] = {}


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """``outcome``: Pass, Fail, Inconclusive, Aborted or Error; ``reasons``: why not Pass.
    ``alerts``: all that fired, expected or not. ``command``: makes the same run embedded.
    """

    scenario: str
    description: str
    seed: int
    outcome: str
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
    clock: ClockRecord = ClockRecord()
