"""Partitions in virtual time that the platform's network makes, for example by network policies.

Simulated time stands still while the platform separates two services, and while it connects them
again. Time goes on when both the open link and a fresh connection have failed, or both work again.
It stands still, too, while a partition has a gap. So a real partition has the same simulated
timeline as a simulated one, on any machine. The wall times of the real events are recorded beside
the run.
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
from trading.lockstep.packets import Control, Separate, Tried, Try
from trading.runtime.network import Pair
from trading.topology import may_connect, service_of

log = logging.getLogger(__name__)

#: Wall seconds between two attempts to connect while a change is awaited.
_RETRY_DELAY = 0.2
#: Wall seconds between two checks of a partition that has been established.
_CHECK_INTERVAL = 2.0
#: Wall seconds for the response to one attempt.
_RESPONSE_TIMEOUT = 5.0


class PlatformChange(msgspec.Struct, frozen=True):
    """One change of the platform's network, as it is stored beside the run.

    ``pair`` are the caller and the callee, and ``separated`` says whether a partition of them began
    or ended. ``at`` is the simulated time in microseconds. ``asked`` and ``seen`` are wall times in
    ISO 8601: when the change was requested, and when connections confirmed it. A second change to
    the same state is a gap in a partition: ``asked`` is when a connection succeeded in it.
    """

    pair: Pair
    separated: bool
    at: int
    asked: str
    seen: str


class PlatformNetwork:
    """Holds the simulated time that ``conductor`` grants until the platform's network has changed.

    ``send`` sends a control message to an instance of a service, and ``record`` is called with each
    change. ``timeout`` is how many wall seconds the platform has for a change; after that the run
    fails.
    """

    def __init__(
        self,
        host: Host,
        conductor: Conductor,
        send: Callable[[str, Control], None],
        record: Callable[[PlatformChange], None],
        timeout: float,
    ) -> None:
        self._host = host
        self._conductor = conductor
        self._send = send
        self._record = record
        self._timeout = timeout
        #: Callers and callees that are separated now, as connections have confirmed.
        self._separated: set[Pair] = set()
        self._attempts: dict[int, asyncio.Future[Tried]] = {}
        self._number = 0
        self._tasks: set[asyncio.Task[None]] = set()
        #: Held by whoever lets time stand still, so that nobody else lets it go on.
        self._holding = asyncio.Lock()
        self._changing = False

    async def stop(self) -> None:
        """End all checks and changes."""
        for task in list(self._tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def on_response(self, name: str, response: Tried) -> None:
        """Handle the response of a service to a request for an attempt to connect."""
        attempt = self._attempts.pop(response.number, None)
        if attempt is not None and not attempt.done():
            attempt.set_result(response)

    def _target(self) -> set[Pair]:
        """Return the callers and callees that the active faults separate."""
        return {pair for pair in self._host.network.cut if may_connect(*pair)}

    def must_hold(self) -> bool:
        """Start a change where the active faults require one; return whether time has to wait."""
        target = self._target()
        if self._changing or target == self._separated:
            return self._changing
        self._changing = True
        self._start(self._change_to(target))
        return True

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._host.tasks.start("a change of the platform's network", work, vital=True)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _change_to(self, target: set[Pair]) -> None:
        """Hold time until connections confirm that exactly the pairs of ``target`` are cut."""
        requested_at = _now()
        async with self._holding:
            await self._conductor.hold()
            before, self._separated = self._separated, target
            changed = sorted(target ^ before)
            for name in {name for pair in changed for name in pair}:
                for instance in self._conductor.keeper.instances(name):
                    self.send_separation(instance)
            until = time.monotonic() + self._timeout
            for pair in changed:
                if not await self._confirmed(pair, pair in target, until):
                    action = "separate" if pair in target else "connect"
                    names = " and ".join(pair)
                    why = f"the platform did not {action} {names} within {self._timeout:g} s"
                    self._conductor.fail(why)
                    return
                self._record_change(pair, pair in target, requested_at)
            if target and not before:
                self._start(self._watch_partition())
            self._changing = False
            self._conductor.release()

    def _record_change(self, pair: Pair, separated: bool, requested_at: str) -> None:
        change = PlatformChange(pair, separated, self._host.now, requested_at, _now())
        log.info("%s", msgspec.json.encode(change).decode())
        self._record(change)

    async def _confirmed(self, pair: Pair, separated: bool, until: float) -> bool:
        """Try connections until they show that the pair is separated, or connected. Return False
        if they do not before ``until``, in seconds of the monotonic clock.
        """
        while time.monotonic() < until:
            results = await self._try(pair)
            expected = (not separated, not separated)
            if all(r is not None and (r.fresh, r.held) == expected for r in results):
                return True
            await asyncio.sleep(_RETRY_DELAY)
        return False

    async def _watch_partition(self) -> None:
        """Check while services are separated that they are."""
        while self._separated:
            await asyncio.sleep(_CHECK_INTERVAL)
            async with self._holding:
                for pair in sorted(self._separated & self._target()):
                    results = await self._try(pair)
                    connected = any(result is not None and result.fresh for result in results)
                    if connected and not await self._closed_again(pair):
                        return

    async def _closed_again(self, pair: Pair) -> bool:
        """Hold time during a gap in a partition, until connections confirm that the pair is
        separated again. A network plugin may rewrite all of its rules when any pod starts or ends,
        and for a while some of them are missing. Fail the run and return False if the gap stays:
        such a partition proves nothing.
        """
        noticed_at = _now()
        log.warning("%s connected to %s during a partition: time stands still", *pair)
        await self._conductor.hold()
        if not await self._confirmed(pair, True, time.monotonic() + self._timeout):
            caller, callee = pair
            self._conductor.fail(
                f"{caller} could connect to {callee} again while they were separated,"
                f" for {self._timeout:g} s"
            )
            return False
        self._record_change(pair, True, noticed_at)
        log.warning("the partition of %s and %s holds again", *pair)
        self._conductor.release()
        return True

    def send_separation(self, name: str) -> None:
        """Send an instance the names of the services that it may have no connection with."""
        service = service_of(name)
        peers = {p for pair in self._separated if service in pair for p in pair if p != service}
        self._send(name, Separate(tuple(sorted(peers))))

    async def _try(self, pair: Pair) -> list[Tried | None]:
        """Let each instance of the caller try to connect, and return the results; None for one that
        did not respond in time.
        """
        instances = self._conductor.keeper.instances(pair[0])
        return list(await asyncio.gather(*(self._try_from(n, pair[1]) for n in instances)))

    async def _try_from(self, name: str, target: str) -> Tried | None:
        self._number += 1
        attempt: asyncio.Future[Tried] = asyncio.get_running_loop().create_future()
        self._attempts[self._number] = attempt
        self._send(name, Try(target, self._number))
        with suppress(TimeoutError):
            async with asyncio.timeout(_RESPONSE_TIMEOUT):
                return await attempt
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
