"""The simulated network as a component: it applies partitions as fault leases, and answers
connection probes. The kernel asks it which pairs of services cannot reach each other.
"""

from collections.abc import Sequence
from typing import Any

from trading.messages import Message
from trading.messages.chaos import NetworkPartition, Probe, ProbeResult, ProbeSeen
from trading.messages.market import Ping
from trading.runtime.component import answer_ping
from trading.runtime.faults import FaultBoard

Pair = tuple[str, str]


class Network:
    """Keeps the pairs of services that cannot reach each other. The kernel reads :attr:`cut`
    whenever :attr:`version` has changed.

    Snapshots contain it as a pickle: the names of its attributes and of ``_changed`` are part of
    that format.
    """

    name = "network"

    def __init__(self) -> None:
        self._faults = FaultBoard(self.name, (NetworkPartition,), self._changed, self._changed)
        self.version = 0

    @property
    def cut(self) -> set[Pair]:
        """Both directions of every pair that a partition separates now."""
        pairs: set[Pair] = set()
        for _, lease in self._faults.of(NetworkPartition):
            for a, b in lease.fault.pairs:  # type: ignore[union-attr]
                pairs |= {(a, b), (b, a)}
        return pairs

    def on(self, message: Message, now: int) -> Sequence[Message]:
        """Apply faults and leases, and answer probes and pings."""
        if isinstance(message, Probe):
            # A simulated link has no open connection that could outlive the partition.
            reachable = (message.to, message.target) not in self.cut
            return [
                ProbeResult(message.to, message.target, message.nonce, reachable, reachable, now)
            ]
        if isinstance(message, ProbeSeen):
            result = (message.nonce, message.fresh_ok, message.held_ok)
            return [ProbeResult(message.source, message.target, *result, now)]
        if isinstance(message, Ping):
            return [answer_ping(self.name, message, now)]
        return self._faults.on(message, now)

    def state(self) -> dict[str, Any]:
        """Return the active partitions and their leases."""
        return {"faults": self._faults.state()}

    def _changed(self, fault_id: str, fault: NetworkPartition, now: int) -> list[Message]:
        self.version += 1
        return []
