"""Runs a program as a monitor, in lockstep, over its standard input and output.

The lines are those of :mod:`trading.monitors.lines`. Time stands still until the program has
answered ``done``. Before its first ``done`` it may name the events that it wants, with
``{"events": ["price", "book"]}``; an instant without any of them is then sent once a second only.
At the end of the run its standard input is closed.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import NoReturn

from trading.monitors.answers import Answer
from trading.monitors.events import Event
from trading.monitors.lines import EVENTS, decode_line, encode_step
from trading.monitors.monitor import MonitorError
from trading.units import SECOND, printable

#: Limits of what a program may answer to one step.
MAX_LINE, MAX_ANSWERS = 65_536, 1_000
_CHUNK = 65_536
#: So many of the last characters of standard error are kept, for the message of a failure.
_ERROR_TAIL = 2_000
#: Wall seconds that a program has to end after its input is closed, or after it was interrupted.
_EXIT_TIMEOUT = 2.0


class ProgramMonitor:
    """A monitor that is a program. ``command`` are its words, and ``timeout`` is how many wall
    seconds it has for each step. Raises MonitorError if the program cannot be started.
    """

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        self._timeout = timeout
        self._subscribed: frozenset[type[Event]] | None = None
        self._answered = False
        self._last_step = 0
        self._buffer = b""
        self._errors = b""
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the user's own program
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise MonitorError(f"cannot start {command[0]}: {error.strerror}") from error
        process = self._process
        assert process.stdin and process.stdout and process.stderr  # noqa: S101 - pipes, see above
        self._in, self._out = process.stdin.fileno(), process.stdout.fileno()
        self._err = process.stderr.fileno()
        self._poll = select.poll()
        for descriptor in (self._in, self._out, self._err):
            os.set_blocking(descriptor, False)
        for descriptor in (self._out, self._err):
            self._poll.register(descriptor, select.POLLIN)

    def on(self, events: Sequence[Event], now: int) -> list[Answer]:
        """Send what has arrived at ``now``, and return the program's answers. Raises MonitorError
        if it does not answer in time, or not as the protocol says.
        """
        subscribed = self._subscribed
        if subscribed is not None:
            events = [event for event in events if type(event) in subscribed]
            if not events and now < self._last_step + SECOND:
                return []
        self._last_step = now
        self._send(encode_step(events, now))
        answers: list[Answer] = []
        for line in self._lines():
            try:
                decoded = decode_line(line)
                if decoded.done is not None:
                    if decoded.done != now:
                        self._fail(f"answered done {decoded.done} to the step {now}")
                    break
                if decoded.events is not None:
                    self._subscribe(decoded.events)
                    continue
                answers.append(decoded.answer())
            except ValueError as error:
                self._fail(f"answered {_quoted(line)}: {error}")
            if len(answers) > MAX_ANSWERS:
                self._fail(f"gave more than {MAX_ANSWERS} answers to one step")
        if self._buffer:
            self._fail(f"went on after done: {_quoted(self._buffer)}")
        self._answered = True
        return answers

    def close(self) -> None:
        """Close the program's input, and end it and its children if it does not end by itself."""
        process = self._process
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            process.wait(_EXIT_TIMEOUT)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _send(self, data: bytes) -> None:
        deadline = time.monotonic() + self._timeout
        view = memoryview(data)
        try:
            while True:
                with contextlib.suppress(BlockingIOError):
                    view = view[os.write(self._in, view) :]
                if not view:
                    return
                # The program may be waiting until somebody reads its output.
                self._poll.register(self._in, select.POLLOUT)
                self._wait(deadline)
                self._poll.unregister(self._in)
        except BrokenPipeError:
            self._ended()

    def _lines(self) -> Iterator[bytes]:
        """Yield the lines of the program, until the caller has what it needs."""
        deadline = time.monotonic() + self._timeout
        while True:
            line, newline, rest = self._buffer.partition(b"\n")
            if newline:
                self._buffer = rest
                if line.strip():
                    yield line
                continue
            if len(line) > MAX_LINE:
                self._fail(f"answered with a line of more than {MAX_LINE} bytes")
            self._wait(deadline)

    def _wait(self, deadline: float) -> None:
        """Wait until the program has written something, or can be written to."""
        remaining = deadline - time.monotonic()
        ready = dict(self._poll.poll(max(0.0, remaining) * 1000))
        if not ready:
            self._fail(f"did not answer within {self._timeout:g} s")
        if self._err in ready and not self._read_errors():
            self._poll.unregister(self._err)
        if self._out in ready:
            data = self._read(self._out)
            if not data:
                self._ended()
            self._buffer += data

    def _read_errors(self) -> bool:
        """Keep the end of what the program wrote to standard error; return whether it wrote any."""
        errors = self._read(self._err)
        self._errors = (self._errors + errors)[-_ERROR_TAIL:]
        return bool(errors)

    def _read(self, descriptor: int) -> bytes:
        try:
            return os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return b""

    def _subscribe(self, names: list[str]) -> None:
        if self._answered:
            self._fail("named its events after its first step")
        for name in names:
            if name not in EVENTS:
                self._fail(f"asked for events {name!r}; there are {', '.join(EVENTS)}")
        self._subscribed = frozenset(EVENTS[name] for name in names)

    def _ended(self) -> NoReturn:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_EXIT_TIMEOUT)
        while self._read_errors():
            pass
        code = self._process.returncode
        how = "closed its output" if code is None else f"ended with exit code {code}"
        self._fail(how)

    def _fail(self, why: str) -> NoReturn:
        lines = self._errors.decode(errors="replace").strip().splitlines()
        detail = f"; its last error line: {printable(lines[-1])[:300]}" if lines else ""
        raise MonitorError(why + detail)


def _quoted(text: bytes) -> str:
    return repr(text[:80].decode(errors="replace"))
