"""The coordinator between two runs: it is there, and asks for nothing."""

from collections.abc import Sequence
from typing import Any

from trading.messages import Message
from trading.messages.market import Ping
from trading.runtime.component import answer_ping
from trading.topology import TEST_COORDINATOR


class Standby:
    name = TEST_COORDINATOR

    def on(self, message: Message, now: int) -> Sequence[Message]:
        if isinstance(message, Ping):
            return [answer_ping(self.name, message, now)]
        return ()

    def state(self) -> dict[str, Any]:
        return {}
