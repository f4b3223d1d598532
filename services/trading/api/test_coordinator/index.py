"""An index of all runs in the test coordinator's store, by id. It is read once and then kept up to
date.
"""

from typing import Literal

import msgspec

from trading.hosting.session import Session, decode_session
from trading.hosting.store import JournalStore
from trading.messages.chaos import NetworkPartition
from trading.scenario.result import Outcome, Phase, Verdict

#: Kind of the documents in the store that hold verdicts; their key is the run's id.
VERDICT = "verdict"

_replace = msgspec.structs.replace


class Run(msgspec.Struct, frozen=True):
    """A run as the API shows it.

    `phase` and `at`, simulated microseconds, are those of its verdict or of the present moment.
    `outcome` is empty while there is no verdict. `session` is the number of the session that it has
    for itself, `opened` the wall clock's time at its start. `partitions` holds by fault the pairs
    of services that it disconnects. `overrides` maps dotted paths in `spec` to values that replaced
    the scenario's: with these the description alone does not tell what happens in the run.
    """

    id: str
    scenario: str
    seed: int
    description: str
    opened: str
    phase: Phase
    outcome: Outcome | Literal[""]
    session: int
    at: int = 0
    partitions: dict[str, tuple[tuple[str, str], ...]] = {}
    overrides: dict[str, str] = {}


class RunIndex:
    """Holds all runs of `store`, without their verdicts, which are large. It assumes that nobody
    else writes to the store.
    """

    def __init__(self, store: JournalStore) -> None:
        self._store = store
        self._runs: dict[str, Run] = {}
        self._loaded = False

    def load(self) -> None:
        """Read all runs from the store, once. Raises StoreUnavailable."""
        if self._loaded:
            return
        for number, spec in self._store.sessions():
            self.add(number, decode_session(spec))
        for run_id, body in self._store.documents(VERDICT).items():
            self.judge(run_id, msgspec.json.decode(body, type=Verdict))
        self._loaded = True

    def add(self, number: int, session: Session) -> None:
        """Add the run of a session that was opened or resumed; a session between runs
        is left out.
        """
        if not session.run_id or session.run_id in self._runs:
            return
        plan = session.plan
        self._runs[session.run_id] = Run(
            session.run_id,
            plan.name,
            plan.seed,
            plan.description,
            session.opened,
            Phase.ERROR,
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
        """Note the verdict of a run, which the store has already."""
        run = self._runs.get(run_id)
        if run is None:
            return
        phase = verdict.phases[-1].phase if verdict.phases else run.phase
        self._runs[run_id] = _replace(
            run, phase=phase, outcome=verdict.outcome, at=verdict.ended_at
        )

    def is_judged(self, run_id: str) -> bool:
        """Return whether the run has a verdict."""
        run = self._runs.get(run_id)
        return run is not None and bool(run.outcome)

    def get(self, run_id: str) -> Run | None:
        """Return a run; None if its id is unknown."""
        return self._runs.get(run_id)

    def all(self) -> list[Run]:
        """Return all runs, newest first."""
        return list(reversed(self._runs.values()))
