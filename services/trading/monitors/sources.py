"""Finds out what a user means by a monitor: a program, or a Python class.

``exec:COMMAND`` is a program, ``module:Class`` a class; ``NAME=`` before it names the monitor.
"""

import re
import shlex
from collections.abc import Sequence
from typing import NamedTuple

from trading.monitors.monitor import Monitor, load_class
from trading.monitors.program import ProgramMonitor

#: Wall seconds that a program has for one step, unless the user says otherwise.
STEP_TIMEOUT = 10.0

_NAMED = re.compile(r"([a-z0-9][-a-z0-9]{0,62})=(.+)", re.DOTALL)
_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_PROGRAM = "exec:"
_DEFAULT_NAME = "monitor"


class WrongMonitors(ValueError):
    """Raised if what a user gives as monitors cannot be judged; the text says what is wrong."""


class MonitorSource(NamedTuple):
    """A monitor as a user gives it: its name, and what to run."""

    name: str
    program: str
    step_timeout: float = STEP_TIMEOUT

    def create(self) -> Monitor:
        """Start the program, or create the class. Raises MonitorError."""
        if self.program.startswith(_PROGRAM):
            return ProgramMonitor(_words(self.program), self.step_timeout)
        return load_class(self.program)


def parse_sources(texts: Sequence[str], step_timeout: float = STEP_TIMEOUT) -> list[MonitorSource]:
    """Return the monitors that a user gives. Raises WrongMonitors."""
    sources = [_parse(text, step_timeout) for text in texts]
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise WrongMonitors(f"two monitors are named '{name}': write NAME= before each")
    return sources


def _parse(text: str, step_timeout: float) -> MonitorSource:
    named = _NAMED.fullmatch(text)
    name, program = named.groups() if named else (_DEFAULT_NAME, text)
    if program.startswith(_PROGRAM):
        if not _words(program):
            raise WrongMonitors(f"'{text}' has no command after {_PROGRAM}")
    elif not _CLASS.fullmatch(program):
        raise WrongMonitors(
            f"'{text}' is no monitor: write exec:COMMAND for a program, or module:Class for a class"
            " in Python"
        )
    return MonitorSource(name, program, step_timeout)


def _words(program: str) -> list[str]:
    try:
        return shlex.split(program.removeprefix(_PROGRAM))
    except ValueError as error:
        raise WrongMonitors(f"'{program}': {error}") from error
