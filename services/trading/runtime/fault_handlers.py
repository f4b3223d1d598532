"""The entries of a handler table for faults, shared by the components that play faults.

A component gives the three messages of a fault lease (inject, renew, recover) and the timers of its
leases to a :class:`~trading.runtime.faults.FaultBoard`, directly or through a method of its own.
"""

from collections.abc import Callable, Sequence
from typing import Any

from trading.messages import Message, Wake
from trading.messages.chaos import InjectFault, RecoverFault, RenewFault
from trading.runtime.faults import LEASE_TOPIC

Handler = Callable[[Any, int], Sequence[Message]]


def fault_handlers(handler: Handler) -> dict[type[Message], Handler]:
    """Return a handler table that gives every message of a fault lease to ``handler``."""
    return {InjectFault: handler, RenewFault: handler, RecoverFault: handler}


def is_lease_timer(wake: Wake) -> bool:
    """Return whether ``wake`` is the expiry timer of a fault lease, which is the board's."""
    return wake.topic.startswith(LEASE_TOPIC)
