"""The coordinator between two runs: it is there, and asks for nothing."""

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

#: How often it says, in its journal, that it is there: the auditor orders what all journals say up
#: to the time that each of them has reached.
EVERY = SECOND


class Standby:
    name = TEST_COORDINATOR
    #: What a market says all the time. It would be the longest journal of all, of nothing.
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
        if isinstance(message, Ping):
            return [answer_ping(self.name, message, now)]
        if isinstance(message, Start | Wake):
            return [Wake(now + EVERY, "there")]
        return ()

    def state(self) -> dict[str, Any]:
        return {}
