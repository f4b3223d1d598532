"""Partitions where every service is a process of its own: each service plays its side."""

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


def address(service: str) -> str:
    """Where a service's own :class:`Network` takes messages."""
    return f"{Network.name}/{service}"


class NetworkRelay(Network):
    """The network as the coordinator's process has it: hands each side of a partition its lease,
    and has connections tried by whoever opens them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sides: dict[str, tuple[str, ...]] = {}

    @property
    def cut(self) -> set[Pair]:
        return set()

    def on(self, message: Message, now: int) -> Sequence[Message]:
        if isinstance(message, InjectFault) and isinstance(message.fault, NetworkPartition):
            sides = dict.fromkeys(service for pair in message.fault.pairs for service in pair)
            self._sides[message.fault_id] = tuple(sides)
            return [
                InjectFault(address(side), message.fault_id, message.fault, message.expires_at)
                for side in sides
            ]
        if isinstance(message, RenewFault):
            return [
                RenewFault(address(side), message.fault_id, message.expires_at)
                for side in self._sides.get(message.fault_id, ())
            ]
        if isinstance(message, RecoverFault):
            return [
                RecoverFault(address(side), message.fault_id)
                for side in self._sides.get(message.fault_id, ())
            ]
        if isinstance(message, Probe):
            opener = message.to if may_connect(message.to, message.target) else message.target
            return [ProbeAsked(address(opener), message.to, message.target, message.nonce)]
        return super().on(message, now)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "sides": {k: list(v) for k, v in self._sides.items()}}
