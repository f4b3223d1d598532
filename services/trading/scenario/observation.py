"""What the coordinator saw of a run: all that the verdict may stand on, beside the audit."""

import msgspec

from trading.messages.audit import AuditReport
from trading.messages.chaos import RunSetup


class SeenAlert(msgspec.Struct, gc=False):
    """Times in microseconds; ``resolved_at`` 0 while it fires."""

    alert_id: str
    rule: str
    subject: str
    severity: str
    observed: str
    limit: str
    event_time: int
    detected_at: int
    resolved_at: int = 0


class SeenBreaker(msgspec.Struct, gc=False):
    state: str
    reason: str
    at: int


class SeenFault(msgspec.Struct, gc=False):
    """As :class:`trading.scenario.result.FaultOutcome`. ``cut_until``: of a partition, when a fresh
    connection failed last.
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
    """``steady_at``: when the steady state had held long enough, 0 if never; ``unsteady``: what
    stood against it last. ``aborted``: why the run was ended early; ``halted``: why it could not go
    on. ``monitor_silence``: longest time without a sign of the risk monitor. ``platform_cuts``:
    partitions were the platform's, and so was their end. ``setup``: what the coordinator was told
    to run.
    """

    setup: RunSetup = msgspec.field(default_factory=RunSetup)
    started_at: int = 0
    ended_at: int = 0
    phases: list[tuple[str, int]] = []
    steady_at: int = 0
    unsteady: str = ""
    faults: list[SeenFault] = []
    alerts: list[SeenAlert] = []
    breaker: list[SeenBreaker] = []
    monitor_silence: int = 0
    faults_ended_at: int = 0
    recovered_at: int = 0
    unrecovered: str = ""
    aborted: str = ""
    halted: str = ""
    platform_cuts: bool = False
    audit: AuditReport | None = None

    def fault(self, name: str) -> SeenFault | None:
        return next((f for f in self.faults if f.name == name), None)
