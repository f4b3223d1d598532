"""Lets a host's kernel do what is due, at the time that the host's session goes by."""

import asyncio
import contextlib
from typing import Protocol

from trading.hosting.clock import Anchor, SimClock
from trading.hosting.live import LiveSession
from trading.hosting.writer import Writer

#: How long the kernel may work before others get a turn, wall seconds.
_TURN = 0.02
#: How far behind its clock the kernel may fall before simulated time waits for it, wall seconds.
_SLACK = 0.25
#: How long the pump sleeps where nothing is due, unless there is input, wall seconds.
_NOTHING_DUE = 60.0
_FOREVER = 2**62


class _Source(Protocol):
    """Whose kernel it is: a host."""

    anchor: Anchor | None
    clock: SimClock

    @property
    def live(self) -> LiveSession: ...
    @property
    def virtual(self) -> bool: ...
    @property
    def full(self) -> bool: ...


class Pump:
    """``writer`` writes what the kernel decides; while it is far behind, the kernel waits."""

    def __init__(self, source: _Source, writer: Writer) -> None:
        self._source = source
        self._writer = writer
        self._input = asyncio.Event()
        self._stopping = False

    def look(self) -> None:
        """Look at once whether something is due: there is input, or another clock."""
        self._input.set()

    def stop(self) -> None:
        """Let :meth:`run` end."""
        self._stopping = True
        self._input.set()

    async def run(self) -> None:
        """Let the kernel do what is due, and sleep until something is. Until :meth:`stop`."""
        source, clock = self._source, asyncio.get_running_loop().time
        while not self._stopping:
            live = source.live
            kernel = live.kernel
            self._input.clear()
            if source.full:
                self._writer.note()
                await self._writer.more_written()
                continue
            until, turn = self._until(live), clock() + _TURN
            due = kernel.next_at
            while due is not None and due <= until and clock() < turn:
                kernel.step()
                due = kernel.next_at
                if source.virtual and live.run_over:
                    until = kernel.now
            self._writer.note()
            if due is not None and due <= until:
                if source.anchor is None and until != _FOREVER:
                    source.clock.hold(kernel.now, _SLACK)
                await asyncio.sleep(0)
                continue
            timeout = _NOTHING_DUE
            if due is not None and not self._stands(live):
                timeout = source.clock.seconds_until(due)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._input.wait(), timeout)

    def _stands(self, live: LiveSession) -> bool:
        """Does virtual time go on at somebody else's word alone? It does in lockstep, and from the
        end of a run until the coordinator lets it follow the wall clock.
        """
        return self._source.virtual and (live.in_lockstep or live.run_over)

    def _until(self, live: LiveSession) -> int:
        """How far the kernel may go by itself now."""
        if self._stands(live):
            return live.kernel.now
        unbounded = self._source.virtual and not live.session.plan.speed
        return _FOREVER if unbounded else self._source.clock.now()
