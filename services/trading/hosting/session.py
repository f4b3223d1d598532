"""A session: from one opening of the ecosystem to the next, with journals of its own.

Every scenario run is a session that opens with the plan's prices, seed and balances; between runs
the ecosystem simply trades.
"""

import msgspec

from trading.hosting.clock import Anchor
from trading.scenario.plan import RunPlan


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """``run_id``: empty between runs. ``opened``: wall time, ISO 8601, for people. ``key``: what
    all services call this session, and ``anchor`` its clock, where each is a process of its own.
    ``platform_cuts``: partitions are played by the platform's network, too, so that a probe tries a
    real connection instead of believing in the partition.
    """

    plan: RunPlan
    run_id: str = ""
    opened: str = ""
    key: str = ""
    anchor: Anchor | None = None
    platform_cuts: bool = False

    @property
    def journal_id(self) -> str:
        """As the embedded runtime names its runs: part of the first entry of every journal."""
        return f"{self.plan.name}-{self.plan.seed}"


encode_session = msgspec.json.Encoder().encode
decode_session = msgspec.json.Decoder(Session).decode
