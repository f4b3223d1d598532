"""The specification of a session: one period of the ecosystem with journals of its own.

Every scenario run is a session that opens with the plan's prices, seed and balances. Between runs
there is a session in which the ecosystem simply trades. The store keeps the specification, so that
a process can open the same session again.
"""

import msgspec

from trading.hosting.clock import ClockAnchor
from trading.scenario.plan import ClockMode, RunPlan
from trading.topology import SERVICES, service_of


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What all processes need to know to open the same session.

    ``plan`` is the compiled scenario, or the plan between runs. ``run_id`` is empty between runs.
    ``opened`` is the wall time of the opening, ISO 8601, for display only.

    Where services are processes of their own, ``key`` identifies the session among them, and
    ``anchor`` is the clock that they share while time follows the wall clock. ``heads`` holds the
    length of every service's journal where time follows the wall clock after a virtual run.
    ``participants`` are the instances that take part in a virtual run; empty means one instance
    of each service.

    ``journal`` is the identity in the first entry of every journal, where the plan alone does not
    determine it. With ``platform_cuts`` partitions are also applied by the platform's network, so
    that probes open real connections instead of relying on the simulated partition.
    """

    plan: RunPlan
    run_id: str = ""
    opened: str = ""
    key: str = ""
    anchor: ClockAnchor | None = None
    journal: str = ""
    platform_cuts: bool = False
    heads: dict[str, int] = {}
    participants: tuple[str, ...] = ()

    @property
    def virtual(self) -> bool:
        """Whether simulated time waits for all participants during the run."""
        return bool(self.run_id) and self.plan.clock_mode is ClockMode.VIRTUAL

    @property
    def instances(self) -> dict[str, str]:
        """The service of each participant of a virtual run, by the participant's name."""
        return {name: service_of(name) for name in self.participants or SERVICES}

    @property
    def journal_id(self) -> str:
        """The identity in the first entry of every journal.

        It is derived from plan and seed, so that the same run has the same journals everywhere.
        """
        return self.journal or self.plan.journal_id


encode_session = msgspec.json.Encoder().encode
decode_session = msgspec.json.Decoder(Session).decode
