"""Spans of the life of an order, and the ids by which services contribute to the same trace.

All services derive the trace id of an order from the session and the order id, so that messages
need no trace context. The trading engine (or the exchange, for clients of its API) contributes the
order, the exchange its execution reports and fills, the custodian its settlement, and the risk
monitor the alert that it raised after the order. A scenario run is a trace, too, with its faults.
"""

from hashlib import sha256
from typing import NamedTuple

ORDER, EXECUTION, FILL = "order", "execution", "fill"
SETTLEMENT, ALERT = "settlement", "alert"
RUN, FAULT = "run", "fault"

#: Name of a span to the services that emit it, and its meaning.
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
    """One span; ``start`` and ``end`` are in simulated microseconds.

    ``parent`` is the id of the parent span, 0 for the root of a trace. ``error`` is a description
    of what failed, empty if nothing did.
    """

    trace: int
    id: int
    parent: int
    name: str
    start: int
    end: int
    attributes: dict[str, Value]
    error: str = ""


def trace_of(session: str, *subject: str | int) -> int:
    """Return the 128-bit id of the trace about ``subject`` in a session, never 0."""
    return _hash(16, session, *subject)


def span_of(trace: int, *subject: str | int) -> int:
    """Return the 64-bit id of the span about ``subject`` in a trace, never 0."""
    return _hash(8, trace, *subject)


def root_of(trace: int) -> int:
    """Return the id of the root span of a trace."""
    return span_of(trace, "root")


def _hash(size: int, *parts: str | int) -> int:
    digest = sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:size]) or 1
