"""What one reconciliation observes of a run and of the cluster: the input of the pure step."""

import msgspec

from trading.messages.chaos import FaultStep
from trading.scenario.result import Phase, Verdict
from trading_operator.policies import ActivePolicy


class ObservedFault(msgspec.Struct, frozen=True):
    """The newest step of a fault, from the run's events. ``text`` is for people; ``at`` is in
    simulated microseconds.
    """

    step: FaultStep
    text: str = ""
    at: int = 0


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """One observation.

    ``run_exists``: the coordinator has the run. ``phase``: the run's phase; None before its first
    event. ``faults``: the newest step, by name of the fault. ``started_at``: simulated microseconds
    of the first event. ``busy``: why the run cannot start yet. ``refused``: why it never will.
    ``problem``: why the coordinator does not answer at the moment. ``last_contact``: Unix time, in
    seconds, of its last answer. ``policies``: the scenario's policies in the cluster.
    ``conflicts``: descriptions of other policies that would defeat a partition.
    """

    run_exists: bool = False
    phase: Phase | None = None
    faults: dict[str, ObservedFault] = {}
    started_at: int = 0
    verdict: Verdict | None = None
    busy: str = ""
    refused: str = ""
    problem: str = ""
    last_contact: float = 0.0
    policies: tuple[ActivePolicy, ...] = ()
    conflicts: tuple[str, ...] = ()
