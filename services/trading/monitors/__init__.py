"""Monitors of the user's: what they see, what they answer, and how they are run in lockstep.

A monitor sees what it would see in production, and nothing else: prices, order books, trades, the
firm's execution reports, and what the exchange and the custodian answer about balances. No module
here knows the scenario, the faults or the audit. A Python class implements :class:`Monitor`; a
program in any language speaks the same protocol in lines of JSON.
"""

from trading.monitors.answers import Alert, Answer, Kill, Resolve
from trading.monitors.events import (
    Account,
    Book,
    Custody,
    Event,
    Execution,
    KillSwitch,
    Pong,
    Price,
    Start,
    SymbolStatus,
    Trade,
)
from trading.monitors.monitor import Monitor, MonitorError

__all__ = [
    "Account",
    "Alert",
    "Answer",
    "Book",
    "Custody",
    "Event",
    "Execution",
    "Kill",
    "KillSwitch",
    "Monitor",
    "MonitorError",
    "Pong",
    "Price",
    "Resolve",
    "Start",
    "SymbolStatus",
    "Trade",
]
