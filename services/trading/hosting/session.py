"""A session: from one opening of the ecosystem to the next, with journals of its own.

Every scenario run is a session that opens with the plan's prices, seed and balances; between runs
the ecosystem simply trades.
"""

import msgspec

from trading.hosting.clock import Anchor
from trading.scenario.plan import ClockMode, RunPlan
from trading.topology import SERVICES, service_of


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """``run_id``: empty between runs. ``opened``: wall time, ISO 8601, for people. ``key``: what
    all services call this session, and ``anchor`` its clock, where each is a process of its own
    and time goes by the wall clock. ``journal``: identity in the first entry of every journal,
    where the plan does not say everything that it is made of. ``platform_cuts``: partitions are
    played by the platform's network, too, so that a probe tries a real connection instead of
    believing in the partition. ``heads``: where time goes on by the wall clock after a virtual
    run, how long everybody's journal was then. ``participants``: the instances of services that
    are processes of their own and take part in a virtual run; empty: one of each service.
    """

    plan: RunPlan
    run_id: str = ""
    opened: str = ""
    key: str = ""
    anchor: Anchor | None = None
    journal: str = ""
    platform_cuts: bool = False
    heads: dict[str, int] = {}
    participants: tuple[str, ...] = ()

    @property
    def virtual(self) -> bool:
        """Does simulated time wait for everybody, as long as the run goes?"""
        return bool(self.run_id) and self.plan.clock_mode is ClockMode.VIRTUAL

    @property
    def instances(self) -> dict[str, str]:
        """By name of a participant of a virtual run: its service."""
        return {name: service_of(name) for name in self.participants or SERVICES}

    @property
    def journal_id(self) -> str:
        """What the first entry of every journal names: derived from plan and seed, so that the
        same run has the same journals in every runtime.
        """
        return self.journal or self.plan.journal_id


encode_session = msgspec.json.Encoder().encode
decode_session = msgspec.json.Decoder(Session).decode
