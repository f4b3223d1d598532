"""The venue's ways to fail: what comes in during an outage, and what gets out."""

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
    SetKillSwitch,
    Trade,
)
from trading.topology import EXCHANGE, RISK_MONITOR, TRADING_ENGINE
from trading.units import PPM

#: Nothing at all gets through, in either direction.
DARK = frozenset({"partition", "reset"})
_REQUESTS = (
    PlaceOrder,
    CancelOrder,
    ReplaceOrder,
    CancelAllOrders,
    SetKillSwitch,
    AccountQuery,
)
_FAILURES = {"reset": "CONNECTION_RESET", "unavailable": "SERVICE_UNAVAILABLE"}
#: What a client would ask for again after the outage; the rest of the streams is gone for good.
_KEPT = (ExecutionReport, Trade, KillSwitchChanged, SymbolStatusChanged)


class Outage:
    """The gate between the venue and everybody else. The venue itself goes on behind it: orders
    rest and trade; reports and trades that could not get out are delivered afterwards, as a client
    would get them by asking for its history.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._modes: dict[str, ExchangeOutage] = {}
        self._held: list[Message] = []

    @property
    def on(self) -> bool:
        return bool(self._modes)

    @property
    def modes(self) -> frozenset[str]:
        return frozenset(self._modes)

    @property
    def delay(self) -> int:
        slow = self._modes.get("slow")
        return slow.delay if slow is not None else 0

    def begin(self, fault: ExchangeOutage) -> None:
        self._modes[fault.mode] = fault

    def end(self, fault: ExchangeOutage) -> list[Message]:
        """The outage is over; returns what it held back, if nothing else holds it."""
        self._modes.pop(fault.mode, None)
        held, self._held = self._held, []
        return held

    def refuse(self, message: Message, now: int) -> list[Message] | None:
        """None: the venue takes the message. Otherwise it is lost, and these are the answers."""
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

    def out(self, outputs: list[Message], now: int) -> list[Message]:
        """What of ``outputs`` gets out, and how late."""
        modes = self._modes
        passed: list[Message] = []
        slow = modes.get("slow")
        for message in outputs:
            if isinstance(message, Wake | Delayed | FaultApplied | FaultEnded | RequestFailed):
                passed.append(message)
            elif not DARK.isdisjoint(modes) or self._withheld(message):
                if isinstance(message, _KEPT):
                    self._held.append(message)
            elif slow is not None:
                passed.append(Delayed(message, slow.delay))
            else:
                passed.append(message)
        return passed

    def unknown(self, message: Message, now: int) -> list[Message]:
        """During execution-status-unknown: the answer to an order that was taken all the same."""
        if "unknown" in self._modes and isinstance(message, PlaceOrder | ReplaceOrder):
            return [_failed(message, "EXECUTION_STATUS_UNKNOWN", now)]
        return []

    def state(self) -> dict[str, Any]:
        return {
            "modes": sorted(self._modes),
            "held": msgspec.to_builtins(self._held),
            "rng": list(self._rng.getstate()[1]),
        }

    def _withheld(self, message: Message) -> bool:
        if not isinstance(message, ExecutionReport):
            return False
        if "unknown" in self._modes:
            return True
        partial = self._modes.get("partial-ack")
        return partial is not None and self._rng.randrange(PPM) < partial.probability_ppm


def _failed(message: Any, reason: str, now: int) -> RequestFailed:
    if isinstance(message, AccountQuery):
        to, account, request = message.source, message.account, message.request_id
    elif isinstance(message, SetKillSwitch):
        to, account, request = RISK_MONITOR, message.account, "kill-switch"
    elif isinstance(message, CancelAllOrders):
        to, account, request = TRADING_ENGINE, message.account, "cancel-all"
    else:
        to, account, request = TRADING_ENGINE, message.account, message.client_order_id
    return RequestFailed(to, EXCHANGE, account, request, reason, now)
