"""Spans of an order's life, as each service sees its own part of it.

All services name the trace of an order alike, from the session and the order's id, so that nothing
has to travel with the messages: the order (trading engine, or the exchange for clients of its API),
its execution reports and fills (exchange), its settlement (custodian), and the alert that the risk
monitor raised when it knew of the order (risk monitor). A run is a trace too: its faults.
"""

from hashlib import sha256
from typing import NamedTuple

ORDER, EXECUTION, FILL = "order", "execution", "fill"
SETTLEMENT, ALERT = "settlement", "alert"
RUN, FAULT = "run", "fault"

#: Name of a span -> the service that shows it, and what it says.
SPANS: dict[str, tuple[str, str]] = {
    ORDER: ("trading-engine, exchange", "from the decision to the venue's acknowledgement"),
    EXECUTION: ("exchange", "an execution report that is no fill"),
    FILL: ("exchange", "one trade of the order"),
    SETTLEMENT: ("custodian", "from the instruction that nets the fill to its booking"),
    ALERT: ("risk-monitor", "from the event to its detection, with the newest order known then"),
    RUN: ("test-coordinator", "a scenario's run, from its first to its last phase"),
    FAULT: ("test-coordinator", "from a fault's effect to its verified end"),
}

Value = str | int | float | bool


class Span(NamedTuple):
    """``start`` and ``end`` in simulated microseconds. ``parent``: 0 for the first of a trace."""

    trace: int
    id: int
    parent: int
    name: str
    start: int
    end: int
    attributes: dict[str, Value]
    error: str = ""


def trace_of(session: str, *subject: str | int) -> int:
    """128 bits, never 0."""
    return _number(16, session, *subject)


def span_of(trace: int, *subject: str | int) -> int:
    """64 bits, never 0."""
    return _number(8, trace, *subject)


def root_of(trace: int) -> int:
    return span_of(trace, "root")


def _number(size: int, *parts: str | int) -> int:
    digest = sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:size]) or 1
