"""Fault leases: a service ends its own faults, even if the coordinator never asks for it.

Every fault comes with the simulated time at which its lease expires. The coordinator renews the
lease while the fault shall last; a fault whose lease expires ends by a timer of its service.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from trading.messages import Message, Wake
from trading.messages.chaos import (
    AnyFault,
    Fault,
    FaultApplied,
    FaultEnd,
    FaultEnded,
    InjectFault,
    RecoverFault,
    RenewFault,
)

#: Start of the topics of lease timers; the fault's id follows.
LEASE_TOPIC = "fault-lease/"

#: Called with (fault id, fault, simulated time in microseconds); returns messages to send.
Hook = Callable[[str, Any, int], Sequence[Message]]

_Handler = TypeVar("_Handler")


def fault_handlers(handler: _Handler) -> dict[type[Message], _Handler]:
    """Return the entries of a handler table that give every message of a fault lease to
    ``handler``: that of a :class:`FaultBoard`, or a method that calls it.
    """
    return {InjectFault: handler, RenewFault: handler, RecoverFault: handler}


def no_effect(fault_id: str, fault: Any, now: int) -> Sequence[Message]:
    """Do nothing: the hook of a service that reads from its board which faults are active."""
    return ()


class Lease(msgspec.Struct, gc=False):
    """An active fault, with the simulated times in microseconds at which it began and at which it
    ends unless it is renewed.
    """

    fault: AnyFault
    since: int
    expires_at: int


class FaultBoard:
    """Keeps the faults that are active in one service. It handles every chaos message and every
    :class:`~trading.messages.Wake` whose topic starts with ``LEASE_TOPIC``.

    ``service`` is the name that its answers carry, and ``accepts`` the types of faults that the
    service can apply. ``on_start(fault_id, fault, now)`` and ``on_end(fault_id, fault, now)`` apply
    and remove the effect of a fault, and may return messages. ``on_start`` raises
    ValueError("UPPER_SNAKE_REASON") to refuse a fault.

    Snapshots contain boards as pickles: the names of their attributes are part of that format.
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
        """Return the active faults of one type with their ids, oldest first."""
        return [(i, lease) for i, lease in self.active.items() if isinstance(lease.fault, kind)]

    def on(self, message: Message, now: int) -> list[Message]:
        """Handle a chaos message or a lease timer and return the answers; [] for anything else."""
        if isinstance(message, InjectFault):
            return self._inject(message, now)
        if isinstance(message, RenewFault):
            lease = self.active.get(message.fault_id)
            if lease is not None:
                lease.expires_at = max(lease.expires_at, message.expires_at)
        elif isinstance(message, RecoverFault):
            return self._end(message.fault_id, FaultEnd.RECOVERED, now)
        elif isinstance(message, Wake) and message.topic.startswith(LEASE_TOPIC):
            fault_id = message.topic.removeprefix(LEASE_TOPIC)
            lease = self.active.get(fault_id)
            if lease is not None:
                if lease.expires_at <= now:
                    return self._end(fault_id, FaultEnd.LEASE_EXPIRED, now)
                return [Wake(lease.expires_at, message.topic)]
        return []

    def state(self) -> dict[str, Any]:
        """Return the active leases by fault id, for the state of the component."""
        leases: dict[str, Any] = msgspec.to_builtins(self.active)
        return leases

    def _inject(self, message: InjectFault, now: int) -> list[Message]:
        fault_id = message.fault_id
        if fault_id in self.active:
            return []
        if not isinstance(message.fault, self._accepts):
            return [self._refused(fault_id, "NOT_MINE", now)]
        if message.expires_at <= now:
            return [self._refused(fault_id, "LEASE_OVER", now)]
        try:
            started = self._on_start(fault_id, message.fault, now)
        except ValueError as error:
            return [self._refused(fault_id, str(error), now)]
        self.active[fault_id] = Lease(message.fault, now, message.expires_at)
        return [
            FaultApplied(self._service, fault_id, now),
            Wake(message.expires_at, LEASE_TOPIC + fault_id),
            *started,
        ]

    def _end(self, fault_id: str, reason: FaultEnd, now: int) -> list[Message]:
        lease = self.active.pop(fault_id, None)
        if lease is None:
            return [self._refused(fault_id, "UNKNOWN", now)]
        ended = self._on_end(fault_id, lease.fault, now)
        return [*ended, FaultEnded(self._service, fault_id, reason, now)]

    def _refused(self, fault_id: str, why: str, now: int) -> FaultEnded:
        return FaultEnded(self._service, fault_id, f"{FaultEnd.REFUSED}_{why}", now)
