"""Fault leases (design: faults must end): a service enforces the end of its own faults."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from trading.messages import Message, Wake
from trading.messages.chaos import (
    AnyFault,
    Fault,
    FaultApplied,
    FaultEnded,
    InjectFault,
    RecoverFault,
    RenewFault,
)

LEASE_TOPIC = "fault-lease/"

Hook = Callable[[str, Any, int], Sequence[Message]]


def no_effect(fault_id: str, fault: Any, now: int) -> Sequence[Message]:
    """For a service that asks its board what is active instead."""
    return ()


class Lease(msgspec.Struct, gc=False):
    fault: AnyFault
    since: int
    expires_at: int


class FaultBoard:
    """The faults that one service plays now. Give it every chaos message and every
    :class:`~trading.messages.Wake` whose topic starts with ``LEASE_TOPIC``.

    ``on_start(fault_id, fault, now)`` and ``on_end(fault_id, fault, now)`` do the service's part
    and may return messages. ``on_start`` raises ValueError("UPPER_SNAKE_REASON") to refuse.
    """

    def __init__(
        self, service: str, accepts: tuple[type[Fault], ...], on_start: Hook, on_end: Hook
    ) -> None:
        self._service = service
        self._accepts = accepts
        self._on_start = on_start
        self._on_end = on_end
        self.active: dict[str, Lease] = {}

    def of(self, kind: type[Fault]) -> list[tuple[str, Lease]]:
        """The active faults of one kind, oldest first."""
        return [(i, lease) for i, lease in self.active.items() if isinstance(lease.fault, kind)]

    def on(self, message: Message, now: int) -> list[Message]:
        """Answers to a chaos message or a lease timer; [] for anything else."""
        if isinstance(message, InjectFault):
            return self._inject(message, now)
        if isinstance(message, RenewFault):
            lease = self.active.get(message.fault_id)
            if lease is not None:
                lease.expires_at = max(lease.expires_at, message.expires_at)
        elif isinstance(message, RecoverFault):
            return self._end(message.fault_id, "RECOVERED", now)
        elif isinstance(message, Wake) and message.topic.startswith(LEASE_TOPIC):
            fault_id = message.topic.removeprefix(LEASE_TOPIC)
            lease = self.active.get(fault_id)
            if lease is not None:
                if lease.expires_at <= now:
                    return self._end(fault_id, "LEASE_EXPIRED", now)
                return [Wake(lease.expires_at, message.topic)]
        return []

    def state(self) -> dict[str, Any]:
        """For the component's own state."""
        built: dict[str, Any] = msgspec.to_builtins(self.active)
        return built

    def _inject(self, message: InjectFault, now: int) -> list[Message]:
        fault_id = message.fault_id
        if fault_id in self.active:
            return []
        if not isinstance(message.fault, self._accepts):
            return [FaultEnded(self._service, fault_id, "REFUSED_NOT_MINE", now)]
        if message.expires_at <= now:
            return [FaultEnded(self._service, fault_id, "REFUSED_LEASE_OVER", now)]
        try:
            begun = self._on_start(fault_id, message.fault, now)
        except ValueError as error:
            return [FaultEnded(self._service, fault_id, f"REFUSED_{error}", now)]
        self.active[fault_id] = Lease(message.fault, now, message.expires_at)
        return [
            FaultApplied(self._service, fault_id, now),
            Wake(message.expires_at, LEASE_TOPIC + fault_id),
            *begun,
        ]

    def _end(self, fault_id: str, reason: str, now: int) -> list[Message]:
        lease = self.active.pop(fault_id, None)
        if lease is None:
            return [FaultEnded(self._service, fault_id, "REFUSED_UNKNOWN", now)]
        ended = self._on_end(fault_id, lease.fault, now)
        return [*ended, FaultEnded(self._service, fault_id, reason, now)]
