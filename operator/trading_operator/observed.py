"""What the operator knows of a run and of the cluster, at one moment."""

import msgspec

from trading.scenario.result import Verdict
from trading_operator.policies import Live


class Seen(msgspec.Struct, frozen=True):
    """A fault, by the run's events. Texts are for people; ``at``: simulated microseconds."""

    step: str = ""
    text: str = ""
    at: int = 0


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """``known``: the coordinator has the run. ``busy``: why it cannot begin yet; ``refused``: why
    it never will. ``heard_at``: Unix time of the coordinator's last answer; ``problem``: why it
    gives none now. ``conflicts``: policies that would defeat a partition. ``started_at``:
    simulated, of the first event.
    """

    known: bool = False
    phase: str = ""
    faults: dict[str, Seen] = {}
    started_at: int = 0
    verdict: Verdict | None = None
    busy: str = ""
    refused: str = ""
    problem: str = ""
    heard_at: float = 0.0
    policies: tuple[Live, ...] = ()
    conflicts: tuple[str, ...] = ()
