"""The coordinator between two runs: it answers pings, writes its journal, and requests nothing."""

from collections.abc import Sequence
from typing import Any

from trading.messages import Message, Start, Wake
from trading.messages.custody import Settled, SettlementInstructed
from trading.messages.market import BookTop, Ping, PriceTick
from trading.messages.orders import ExecutionReport, Trade
from trading.messages.risk import PortfolioReported
from trading.runtime.component import answer_ping
from trading.topology import TEST_COORDINATOR
from trading.units import SECOND

#: How often a heartbeat goes into the journal. The auditor orders the entries of all journals only
#: up to the time that every journal has reached, so a silent journal would hold back the others.
HEARTBEAT_INTERVAL = SECOND


class IdleCoordinator:
    """Takes the place of :class:`~trading.test_coordinator.component.TestCoordinator` while no
    scenario runs.

    ``ignores`` lists the messages that the market sends all the time: recording them would make
    this the longest journal of all without any use.
    """

    name = TEST_COORDINATOR
    ignores = frozenset(
        {
            PriceTick,
            BookTop,
            ExecutionReport,
            Trade,
            PortfolioReported,
            SettlementInstructed,
            Settled,
        }
    )

    def on(self, message: Message, now: int) -> Sequence[Message]:
        """Answer a ping, and schedule the next heartbeat."""
        if isinstance(message, Ping):
            return [answer_ping(self.name, message, now)]
        if isinstance(message, Start | Wake):
            return [Wake(now + HEARTBEAT_INTERVAL, "there")]
        return ()

    def state(self) -> dict[str, Any]:
        """Return an empty state: nothing that was received changes a later answer."""
        return {}
