"""Simulated outages of the venue's connections: which requests get in, which messages get out."""

from random import Random
from typing import Any

import msgspec

from trading.messages import Delayed, Message, Wake
from trading.messages.chaos import ExchangeOutage, FaultApplied, FaultEnded
from trading.messages.market import Ping, SymbolStatusChanged
from trading.messages.orders import (
    AccountQuery,
    CancelAllOrders,
    CancelOrder,
    ExecutionReport,
    KillSwitchChanged,
    PlaceOrder,
    ReplaceOrder,
    RequestFailed,
    RequestFailure,
    SetKillSwitch,
    Trade,
)
from trading.topology import EXCHANGE, RISK_MONITOR, TRADING_ENGINE
from trading.units import PPM

#: Modes in which nothing gets through in either direction.
FULL_OUTAGE_MODES = frozenset({"partition", "reset"})
_REQUESTS = (
    PlaceOrder,
    CancelOrder,
    ReplaceOrder,
    CancelAllOrders,
    SetKillSwitch,
    AccountQuery,
)
#: Mode to the failure that a client's request is answered with.
_FAILURES = {
    "reset": RequestFailure.CONNECTION_RESET,
    "unavailable": RequestFailure.SERVICE_UNAVAILABLE,
}
#: Messages that are delivered after the outage, as a client would query them then; everything else
#: that is sent during the outage is lost.
_DELIVERED_LATER = (ExecutionReport, Trade, KillSwitchChanged, SymbolStatusChanged)


class Outage:
    """Stands between the venue and its clients, and drops, delays or holds back messages.

    The venue itself keeps working behind it: orders rest and trade. Reports and trades that could
    not be delivered are held, and delivered at the end of the outage, as a client would get them by
    querying its history. ``rng`` decides which reports a partial acknowledgement loses.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._modes: dict[str, ExchangeOutage] = {}
        self._undelivered: list[Message] = []

    @property
    def active(self) -> bool:
        """Return whether any mode is in force."""
        return bool(self._modes)

    @property
    def modes(self) -> frozenset[str]:
        """Return the modes that are in force."""
        return frozenset(self._modes)

    @property
    def delay(self) -> int:
        """Return the delay of every answer in simulated microseconds, 0 unless mode slow is on."""
        slow = self._modes.get("slow")
        return slow.delay if slow is not None else 0

    def begin(self, fault: ExchangeOutage) -> None:
        """Put the mode of ``fault`` in force."""
        self._modes[fault.mode] = fault

    def end(self, fault: ExchangeOutage) -> list[Message]:
        """End the mode of ``fault``. Return the messages that were held back, in their order.

        They still have to pass :meth:`filter_output`, since another mode may hold them back.
        """
        self._modes.pop(fault.mode, None)
        undelivered, self._undelivered = self._undelivered, []
        return undelivered

    def fail_request(self, message: Message, now: int) -> list[Message] | None:
        """Return the failures that answer a request which does not reach the venue.

        An empty list means that the request is lost silently, None that it reaches the venue.
        """
        modes = self._modes
        if "partition" in modes:
            return [] if isinstance(message, (*_REQUESTS, Ping)) else None
        for mode, reason in _FAILURES.items():
            if mode in modes:
                if isinstance(message, Ping):
                    return []
                if isinstance(message, _REQUESTS):
                    return [_failed(message, reason, now)]
        return None

    def filter_output(self, outputs: list[Message], now: int) -> list[Message]:
        """Return those of ``outputs`` that leave the venue now, delayed if the venue is slow.

        Timers and the answers to the coordinator always pass.
        """
        modes = self._modes
        passed: list[Message] = []
        slow = modes.get("slow")
        for message in outputs:
            if isinstance(message, Wake | Delayed | FaultApplied | FaultEnded | RequestFailed):
                passed.append(message)
            elif not FULL_OUTAGE_MODES.isdisjoint(modes) or self._loses_report(message):
                if isinstance(message, _DELIVERED_LATER):
                    self._undelivered.append(message)
            elif slow is not None:
                passed.append(Delayed(message, slow.delay))
            else:
                passed.append(message)
        return passed

    def fail_execution(self, message: Message, now: int) -> list[Message]:
        """Return the EXECUTION_STATUS_UNKNOWN failure for an order that the venue did accept.

        Returns an empty list for other messages, and unless mode unknown is in force.
        """
        if "unknown" in self._modes and isinstance(message, PlaceOrder | ReplaceOrder):
            return [_failed(message, RequestFailure.EXECUTION_STATUS_UNKNOWN, now)]
        return []

    def state(self) -> dict[str, Any]:
        """Return everything that decides future behaviour, as plain data to be compared."""
        return {
            "modes": sorted(self._modes),
            "held": msgspec.to_builtins(self._undelivered),
            "rng": list(self._rng.getstate()[1]),
        }

    def _loses_report(self, message: Message) -> bool:
        if not isinstance(message, ExecutionReport):
            return False
        if "unknown" in self._modes:
            return True
        partial = self._modes.get("partial-ack")
        return partial is not None and self._rng.randrange(PPM) < partial.probability_ppm


def _failed(message: Any, reason: RequestFailure, now: int) -> RequestFailed:
    """Return the failure that goes to the sender of a request."""
    if isinstance(message, AccountQuery):
        to, account, request = message.source, message.account, message.request_id
    elif isinstance(message, SetKillSwitch):
        to, account, request = RISK_MONITOR, message.account, "kill-switch"
    elif isinstance(message, CancelAllOrders):
        to, account, request = TRADING_ENGINE, message.account, "cancel-all"
    else:
        to, account, request = TRADING_ENGINE, message.account, message.client_order_id
    return RequestFailed(to, EXCHANGE, account, request, reason, now)
