"""Lets a host's kernel process what is due, in step with the clock of the host's session.

In lockstep sessions the pump processes nothing that the coordinator has not released.
"""

import asyncio
import contextlib
from typing import Protocol

from trading.hosting.clock import ClockAnchor, SimClock
from trading.hosting.live_session import LiveSession
from trading.hosting.writer import Writer

#: Wall seconds that the kernel may work before other tasks get a turn.
_TURN_SECONDS = 0.02
#: Wall seconds that the kernel may fall behind its clock before simulated time waits for it.
_MAX_LAG = 0.25
#: Wall seconds that the pump sleeps where nothing is due and no input arrives.
_IDLE_TIMEOUT = 60.0
_UNLIMITED = 2**62


class _Host(Protocol):
    """What the pump needs of a host."""

    anchor: ClockAnchor | None
    clock: SimClock

    @property
    def live(self) -> LiveSession: ...
    @property
    def virtual(self) -> bool: ...
    @property
    def full(self) -> bool: ...


class Pump:
    """Drives the kernel of ``source``, a host.

    ``writer`` writes what the kernel decides. While too many entries are unwritten, the kernel
    waits.
    """

    def __init__(self, source: _Host, writer: Writer) -> None:
        self._source = source
        self._writer = writer
        self._input = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """Check at once whether something is due: an input has arrived, or the clock changed."""
        self._input.set()

    def stop(self) -> None:
        """Let :meth:`run` end."""
        self._stopping = True
        self._input.set()

    async def run(self) -> None:
        """Process what is due, and sleep until something is due, until :meth:`stop` is called."""
        source, clock = self._source, asyncio.get_running_loop().time
        while not self._stopping:
            live = source.live
            kernel = live.kernel
            self._input.clear()
            if source.full:
                self._writer.wake()
                await self._writer.more_written()
                continue
            until, turn = self._time_limit(live), clock() + _TURN_SECONDS
            due = kernel.next_at
            while due is not None and due <= until and clock() < turn:
                kernel.step()
                due = kernel.next_at
                if source.virtual and live.run_over:
                    until = kernel.now
            self._writer.wake()
            if due is not None and due <= until:
                if source.anchor is None and until != _UNLIMITED:
                    source.clock.limit_lead(kernel.now, _MAX_LAG)
                await asyncio.sleep(0)
                continue
            timeout = _IDLE_TIMEOUT
            if due is not None and not self._time_is_controlled(live):
                timeout = source.clock.seconds_until(due)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._input.wait(), timeout)

    def _time_is_controlled(self, live: LiveSession) -> bool:
        """Return whether only the coordinator advances time: in lockstep, and from the end of a
        virtual run until the coordinator switches to the wall clock.
        """
        return self._source.virtual and (live.in_lockstep or live.run_over)

    def _time_limit(self, live: LiveSession) -> int:
        """Return the simulated time up to which the kernel may process by itself now."""
        if self._time_is_controlled(live):
            return live.processed_until
        unbounded = self._source.virtual and not live.session.plan.speed
        return _UNLIMITED if unbounded else self._source.clock.now()
