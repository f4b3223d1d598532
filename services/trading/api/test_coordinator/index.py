"""Every run that a test coordinator's store knows, by id: read once, and kept up to date."""

import msgspec

from trading.hosting.session import Session, decode_session
from trading.hosting.store import JournalStore
from trading.messages.chaos import NetworkPartition
from trading.scenario.result import Verdict

#: Kind of the documents that keep the verdicts, by run.
VERDICT = "verdict"

_replace = msgspec.structs.replace


class Run(msgspec.Struct, frozen=True):
    """``outcome``: empty while there is no verdict; ``at``: simulated time, microseconds.
    ``partitions``: by fault, the pairs of services that it cuts off from each other.
    ``overrides``: dotted path in ``spec`` -> value, of what was changed for this run, so that the
    description alone may not tell what happens in it.
    """

    id: str
    scenario: str
    seed: int
    description: str
    opened: str
    phase: str
    outcome: str
    session: int
    at: int = 0
    partitions: dict[str, tuple[tuple[str, str], ...]] = {}
    overrides: dict[str, str] = {}


class RunIndex:
    """Nobody else writes to the ``store``. Its verdicts are large: they stay there."""

    def __init__(self, store: JournalStore) -> None:
        self._store = store
        self._runs: dict[str, Run] = {}
        self._loaded = False

    def load(self) -> None:
        """Read once what the store has. Raises StoreUnavailable."""
        if self._loaded:
            return
        for number, spec in self._store.sessions():
            self.add(number, decode_session(spec))
        for run_id, body in self._store.documents(VERDICT).items():
            self.judge(run_id, msgspec.json.decode(body, type=Verdict))
        self._loaded = True

    def add(self, number: int, session: Session) -> None:
        """A session has been opened, or gone on with; one between runs is left out."""
        if not session.run_id or session.run_id in self._runs:
            return
        plan = session.plan
        self._runs[session.run_id] = Run(
            session.run_id,
            plan.name,
            plan.seed,
            plan.description,
            session.opened,
            "Error",
            "",
            number,
            partitions={
                planned.name: planned.fault.pairs
                for planned in plan.faults
                if isinstance(planned.fault, NetworkPartition)
            },
            overrides=plan.overrides,
        )

    def judge(self, run_id: str, verdict: Verdict) -> None:
        """A run has got its verdict, and the store has it."""
        run = self._runs.get(run_id)
        if run is None:
            return
        phase = verdict.phases[-1].phase if verdict.phases else run.phase
        self._runs[run_id] = _replace(
            run, phase=phase, outcome=verdict.outcome, at=verdict.ended_at
        )

    def is_judged(self, run_id: str) -> bool:
        """Has the run a verdict?"""
        run = self._runs.get(run_id)
        return run is not None and bool(run.outcome)

    def get(self, run_id: str) -> Run | None:
        """A run; None for an unknown one."""
        return self._runs.get(run_id)

    def all(self) -> list[Run]:
        """All runs, newest first."""
        return list(reversed(self._runs.values()))
