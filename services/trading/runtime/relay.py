"""Partitions where every service is a process of its own: the coordinator's process passes them on,
and each service applies its side.
"""

from collections.abc import Sequence
from typing import Any

from trading.messages import Message
from trading.messages.chaos import (
    InjectFault,
    NetworkPartition,
    Probe,
    ProbeAsked,
    RecoverFault,
    RenewFault,
)
from trading.runtime.network import Network, Pair
from trading.topology import may_connect


def network_side(service: str) -> str:
    """Return the address of the :class:`Network` in the process of ``service``."""
    return f"{Network.name}/{service}"


class NetworkRelay(Network):
    """The network of the coordinator's process: it sends each service of a partition the fault and
    its lease, and lets the service that opens a connection answer a probe of it.

    Snapshots contain it as a pickle: the names of its attributes are part of that format.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sides: dict[str, tuple[str, ...]] = {}

    @property
    def cut(self) -> set[Pair]:
        """No pairs: the kernel of this process drops nothing, since the links are cut instead."""
        return set()

    def on(self, message: Message, now: int) -> Sequence[Message]:
        """Pass partitions, leases and probes on; handle everything else as a network does."""
        if isinstance(message, InjectFault) and isinstance(message.fault, NetworkPartition):
            sides = dict.fromkeys(service for pair in message.fault.pairs for service in pair)
            self._sides[message.fault_id] = tuple(sides)
            return [
                InjectFault(network_side(side), message.fault_id, message.fault, message.expires_at)
                for side in sides
            ]
        if isinstance(message, RenewFault):
            return [
                RenewFault(network_side(side), message.fault_id, message.expires_at)
                for side in self._sides.get(message.fault_id, ())
            ]
        if isinstance(message, RecoverFault):
            return [
                RecoverFault(network_side(side), message.fault_id)
                for side in self._sides.get(message.fault_id, ())
            ]
        if isinstance(message, Probe):
            opener = message.to if may_connect(message.to, message.target) else message.target
            return [ProbeAsked(network_side(opener), message.to, message.target, message.nonce)]
        return super().on(message, now)

    def state(self) -> dict[str, Any]:
        """Return the faults as in any network, and by fault the services that apply it."""
        return {**super().state(), "sides": {k: list(v) for k, v in self._sides.items()}}
