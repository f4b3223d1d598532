"""Partitions that the platform's network plays, in virtual time.

Time stands still while the platform separates two services, and while it connects them again; it
goes on when a fresh connection and the held one have failed, or both are possible again. So a real
partition has the same timeline as a simulated one. The order of real events is kept beside it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec

from trading.hosting.host import Host
from trading.lockstep.conductor import Conductor
from trading.lockstep.packets import Separate, Tried, Try, Word
from trading.runtime.network import Pair
from trading.topology import may_connect, service_of

log = logging.getLogger(__name__)

#: Wall seconds between two attempts to connect while a change is awaited, and afterwards.
_AGAIN, _WATCH_EVERY = 0.2, 2.0
#: Wall seconds for which connections may be possible in a partition until it counts as one that
#: does not hold. Whoever enforces policies in a cluster writes all of its rules again when any pod
#: comes or goes, and for a moment some of them are not there.
_GAP = 3.0
#: Wall seconds that an attempt's answer may take.
_ANSWER = 5.0


class RealChange(msgspec.Struct, frozen=True):
    """One change of the platform's network. ``at``: simulated time, microseconds; the others are
    wall times, ISO 8601: when it was asked for, and when connections showed it.
    """

    pair: Pair
    separated: bool
    at: int
    asked: str
    seen: str


class PlatformNetwork:
    """Waits for the platform in the session that ``conductor`` keeps the time of. ``say``: to a
    service; ``record`` gets each change. ``patience``: wall seconds that the platform has for one.
    """

    def __init__(
        self,
        host: Host,
        conductor: Conductor,
        say: Callable[[str, Word], None],
        record: Callable[[RealChange], None],
        patience: float,
    ) -> None:
        self._host = host
        self._conductor = conductor
        self._say = say
        self._record = record
        self._patience = patience
        #: Callers and callees that are separated now, as connections have shown.
        self._separated: set[Pair] = set()
        self._attempts: dict[int, asyncio.Future[Tried]] = {}
        self._number = 0
        self._tasks: set[asyncio.Task[None]] = set()
        conductor.barrier = self._barrier
        conductor.on_joined = self._tell

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def hear(self, name: str, word: Separate | Try | Tried) -> None:
        """A service says whether it could connect."""
        if isinstance(word, Tried):
            attempt = self._attempts.pop(word.number, None)
            if attempt is not None and not attempt.done():
                attempt.set_result(word)

    def _wanted(self) -> set[Pair]:
        """Callers and callees that the faults of this moment separate."""
        return {pair for pair in self._host.kernel.network.cut if may_connect(*pair)}

    def _barrier(self) -> bool:
        wanted = self._wanted()
        if wanted == self._separated:
            return False
        self._start(self._change(wanted))
        return True

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._host.tasks.start("a change of the platform's network", work, vital=True)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _change(self, wanted: set[Pair]) -> None:
        asked = _now()
        await self._conductor.hold()
        before, self._separated = self._separated, wanted
        changed = sorted(wanted ^ before)
        for name in {name for pair in changed for name in pair}:
            for instance in self._conductor.keeper.instances(name):
                self._tell(instance)
        until = time.monotonic() + self._patience
        for pair in changed:
            if not await self._seen(pair, pair in wanted, until):
                what = "separate" if pair in wanted else "connect"
                names = " and ".join(pair)
                why = f"the platform did not {what} {names} within {self._patience:g} s"
                self._conductor.fail(why)
                return
            change = RealChange(pair, pair in wanted, self._host.now, asked, _now())
            log.info("%s", msgspec.json.encode(change).decode())
            self._record(change)
        if wanted and not before:
            self._start(self._watch())
        self._conductor.release()

    async def _seen(self, pair: Pair, separated: bool, until: float) -> bool:
        """Do connections show it before it is ``until``?"""
        while time.monotonic() < until:
            found = await self._try(pair)
            wanted = (not separated, not separated)
            if all(tried is not None and (tried.fresh, tried.held) == wanted for tried in found):
                return True
            await asyncio.sleep(_AGAIN)
        return False

    async def _watch(self) -> None:
        """A partition that does not hold is no evidence."""
        while self._separated:
            await asyncio.sleep(_WATCH_EVERY)
            for pair in sorted(self._separated):
                if await self._is_open(pair):
                    self._conductor.fail(
                        f"{pair[0]} could connect to {pair[1]} again while they were separated"
                    )
                    return

    async def _is_open(self, pair: Pair) -> bool:
        """Can the two connect, again and again for _GAP seconds, while they are to be separated?"""
        until = time.monotonic() + _GAP
        tries = 0
        while True:
            found = await self._try(pair)
            fresh = any(tried is not None and tried.fresh for tried in found)
            if not fresh or pair not in self._separated & self._wanted():
                break
            tries += 1
            if time.monotonic() > until:
                return True
            await asyncio.sleep(_AGAIN)
        if tries and not fresh:
            log.warning("%s reached %s %d times in a partition, and then not", *pair, tries)
        return False

    def _tell(self, name: str) -> None:
        """Say to an instance of a service with whom it may have no connection."""
        service = service_of(name)
        peers = {p for pair in self._separated if service in pair for p in pair if p != service}
        self._say(name, Separate(tuple(sorted(peers))))

    async def _try(self, pair: Pair) -> list[Tried | None]:
        """Let each instance of the caller try to connect; None: it did not answer."""
        instances = self._conductor.keeper.instances(pair[0])
        return list(await asyncio.gather(*(self._try_from(n, pair[1]) for n in instances)))

    async def _try_from(self, name: str, target: str) -> Tried | None:
        self._number += 1
        attempt: asyncio.Future[Tried] = asyncio.get_running_loop().create_future()
        self._attempts[self._number] = attempt
        self._say(name, Try(target, self._number))
        with suppress(TimeoutError):
            async with asyncio.timeout(_ANSWER):
                return await attempt
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
