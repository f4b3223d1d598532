"""The protocol that a monitor in Python implements, and how one is loaded."""

import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Protocol

from trading.monitors.answers import Answer
from trading.monitors.events import Event


class MonitorError(Exception):
    """Raised if a monitor cannot be started, or cannot be judged any more; the text says why."""


class Monitor(Protocol):
    """A monitor: whoever must notice.

    It is called in virtual time with everything that has arrived at one instant, and once a second
    (or tick of the market) in any case, so that the same run gives it the same events. Its clock is
    ``now``: a wall clock would make its answers depend on the machine.
    """

    def on(self, events: Sequence[Event], now: int) -> Iterable[Answer]:
        """Handle what has arrived at ``now``, in microseconds since 1970, and return what follows:
        alerts, their end, or a request to stop trading. The first event of a run is a Start.
        """
        ...


def load_class(target: str) -> Monitor:
    """Create the monitor of ``module:Class``, with the working directory in the module search path.
    Raises MonitorError.
    """
    module_name, _, class_name = target.partition(":")
    directory = os.getcwd()
    if directory not in sys.path:
        sys.path.insert(0, directory)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # The module may do anything when it is imported.
        raise MonitorError(f"cannot import {module_name}: {brief(error)}") from error
    factory = getattr(module, class_name, None)
    if factory is None:
        raise MonitorError(f"{module_name} has no {class_name}")
    try:
        monitor: Monitor = factory()
    except Exception as error:
        raise MonitorError(f"{class_name}() failed: {brief(error)}") from error
    if not callable(getattr(monitor, "on", None)):
        raise MonitorError(f"{class_name} has no method on(events, now)")
    return monitor


def brief(error: BaseException) -> str:
    """Return an error on one line, with its type."""
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
