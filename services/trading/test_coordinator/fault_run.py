"""The life of one fault of a scenario: request, evidence, lease renewals, end, verified recovery.

The coordinator asks a service to play a fault, and renews the lease of the fault while it should
last. Neither the request nor the service's acknowledgement proves anything: the fault counts as
injected when a watcher finds evidence in the data plane, and as recovered when the watcher has
found the data plane healthy for several beats. The phases of the run are not decided here.
"""

from trading.messages import Message
from trading.messages.chaos import (
    FaultInjected,
    FaultRecovered,
    InjectFault,
    Probe,
    RecoverFault,
    RenewFault,
)
from trading.scenario.observation import SeenFault
from trading.scenario.plan import PlannedFault
from trading.test_coordinator.evidence import watcher
from trading.test_coordinator.view import TOLERATED_BEATS, DataPlaneView
from trading.test_coordinator.watcher import Watcher


class Prober:
    """Creates connection probes, and numbers them across all faults of a run."""

    def __init__(self) -> None:
        self._nonce = 0

    def probe(self, source: str, target: str) -> Probe:
        """Return a request to ``source`` to probe its connection to ``target``."""
        self._nonce += 1
        return Probe(source, target, self._nonce)


class FaultRun:
    """One planned fault, from its request to its verified recovery.

    ``planned`` is the fault and its times in the plan, ``view`` the observed data plane, ``lease``
    the simulated microseconds after which the fault ends by itself unless it is renewed, and
    ``prober`` numbers the connection probes. ``outcome`` is the fault's record in the observation
    of the run. Methods return the messages that the coordinator must send.
    """

    def __init__(
        self, planned: PlannedFault, view: DataPlaneView, lease: int, prober: Prober
    ) -> None:
        self.planned = planned
        self.outcome = SeenFault(planned.name, planned.kind)
        self._view = view
        self._lease = lease
        self._prober = prober
        self._watcher: Watcher | None = None
        self._recovery_requested = False
        self._renewed_at = 0
        self._healthy_since = 0

    @property
    def requested(self) -> bool:
        """Whether the service has been asked to play the fault."""
        return self._watcher is not None

    @property
    def active(self) -> bool:
        """Whether the fault has been requested and has not ended."""
        return self.requested and not self.outcome.ended_at

    def request(self, now: int) -> InjectFault:
        """Ask the service to play the fault, and start to look for evidence."""
        self._watcher = watcher(self.planned, self._view, now)
        self.outcome.requested_at = self._renewed_at = now
        return InjectFault(
            self.planned.target, self.planned.name, self.planned.fault, now + self._lease
        )

    def observe(self, message: Message, now: int) -> list[Message]:
        """Look for evidence in a message of the data plane, until the recovery is verified.

        Return FaultInjected with the first evidence, otherwise nothing.
        """
        if self._watcher is None or self.outcome.recovered_at:
            return []
        self._watcher.on(message, now)
        return self._verify_injection()

    def check_evidence(self, now: int) -> list[Message]:
        """Look for evidence that consists in silence, once per beat while the fault is active.

        Return FaultInjected with the first evidence, otherwise nothing.
        """
        if self._watcher is None:
            return []
        self._watcher.beat(now)
        return self._verify_injection()

    def maintain(self, now: int) -> list[Message]:
        """Probe connections, and renew an active fault until its duration is over, then end it.

        The duration counts from the first evidence, or from the request while there is none.
        """
        messages = self._probes()
        started_at = self.outcome.injected_at or self.outcome.requested_at
        if now >= started_at + self.planned.duration:
            messages.append(self.recover())
        elif now - self._renewed_at >= self._lease // 3:
            self._renewed_at = now
            messages.append(
                RenewFault(self.planned.target, self.planned.name, now + self._lease),
            )
        return messages

    def recover(self) -> RecoverFault:
        """Ask the service to end the fault."""
        self._recovery_requested = True
        return RecoverFault(self.planned.target, self.planned.name)

    def verify_recovery(self, now: int) -> list[Message]:
        """Check whether what a requested fault disturbed has been healthy for several beats.

        Return the probes to send, and FaultRecovered once the recovery is verified.
        """
        if self._watcher is None or self.outcome.recovered_at:
            return []
        messages = self._probes()
        self.outcome.cut_until = self._watcher.cut_until
        if self._watcher.problem(now):
            self._healthy_since = 0
        elif not self._healthy_since:
            self._healthy_since = now
        elif now - self._healthy_since >= TOLERATED_BEATS * self._view.beat:
            self.outcome.recovered_at = self._healthy_since
            messages.append(FaultRecovered(self.outcome.name, self._healthy_since))
        return messages

    def problem(self, now: int) -> str:
        """Describe why a requested fault has not recovered; empty if it has."""
        if self._watcher is None or self.outcome.recovered_at:
            return ""
        problem = self._watcher.problem(now)
        return f"{self.outcome.name}: {problem or 'recovery not verified yet'}"

    def state(self) -> list[bool | int]:
        """Return what decides the next messages, for the state of the coordinator."""
        return [self._recovery_requested, self._renewed_at, self._healthy_since, self.requested]

    def _verify_injection(self) -> list[Message]:
        current, outcome = self._watcher, self.outcome
        if current is None or not current.injected_at or outcome.injected_at:
            return []
        outcome.injected_at, outcome.evidence = current.injected_at, current.evidence
        return [FaultInjected(outcome.name, outcome.evidence, outcome.injected_at)]

    def _probes(self) -> list[Message]:
        pairs = self._watcher.probes if self._watcher is not None else ()
        return [self._prober.probe(source, target) for source, target in pairs]
