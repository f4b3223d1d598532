"""The network as a component: plays partitions as leases, and answers connection probes."""

from collections.abc import Sequence
from typing import Any

from trading.messages import Message
from trading.messages.chaos import NetworkPartition, Probe, ProbeResult, ProbeSeen
from trading.messages.market import Ping
from trading.runtime.component import answer_ping
from trading.runtime.faults import FaultBoard

Pair = tuple[str, str]


class Network:
    """Which pairs of services cannot reach each other. The kernel asks :attr:`cut` whenever
    :attr:`version` has changed.
    """

    name = "network"

    def __init__(self) -> None:
        self._faults = FaultBoard(self.name, (NetworkPartition,), self._changed, self._changed)
        self.version = 0

    @property
    def cut(self) -> set[Pair]:
        """Both directions of every pair that is partitioned now."""
        pairs: set[Pair] = set()
        for _, lease in self._faults.of(NetworkPartition):
            for a, b in lease.fault.pairs:  # type: ignore[union-attr]
                pairs |= {(a, b), (b, a)}
        return pairs

    def on(self, message: Message, now: int) -> Sequence[Message]:
        if isinstance(message, Probe):
            # A simulated link holds no connection that could survive the cut.
            reachable = (message.to, message.target) not in self.cut
            return [
                ProbeResult(message.to, message.target, message.nonce, reachable, reachable, now)
            ]
        if isinstance(message, ProbeSeen):
            seen = (message.nonce, message.fresh_ok, message.held_ok)
            return [ProbeResult(message.source, message.target, *seen, now)]
        if isinstance(message, Ping):
            return [answer_ping(self.name, message, now)]
        return self._faults.on(message, now)

    def state(self) -> dict[str, Any]:
        return {"faults": self._faults.state()}

    def _changed(self, fault_id: str, fault: NetworkPartition, now: int) -> list[Message]:
        self.version += 1
        return []
