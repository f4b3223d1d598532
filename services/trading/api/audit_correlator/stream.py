"""``/events``: chains, report and ledger, told to everybody who follows when more has been read."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from trading.api.audit_correlator import answers
from trading.audit_correlator import AuditCorrelator
from trading.hosting.host import Host
from trading.hosting.inputs import Unavailable
from trading.topology import AUDIT_CORRELATOR

#: Wall seconds between two looks at whether the auditor has read more.
EVERY = 0.25
#: Wall seconds until a stream on which nothing happens shows that it is alive.
KEEP_ALIVE = 10.0
#: Streams at a time.
MAX_STREAMS = 200

_ALIVE = b": still here\nevent: alive\ndata: {}\n\n"


#: Session, what the auditor has read, speed of time.
_Version = tuple[int, int, float]


class Stream:
    """An event is made once, however many follow, and told once what it says is durable."""

    def __init__(self, stopping: asyncio.Event, host: Host) -> None:
        self._stopping = stopping
        self._host = host
        self._version: _Version = (0, 0, 0.0)
        self._event = b""
        self._streams = 0

    @property
    def full(self) -> bool:
        return self._streams >= MAX_STREAMS

    async def events(self) -> AsyncIterator[bytes]:
        """The state at once, then whenever it has changed; until the service stops."""
        told: _Version | None = None
        quiet = 0.0
        self._streams += 1
        try:
            while not self._stopping.is_set():
                version, event = self._look()
                if version != told and await self._durable():
                    told, quiet = version, 0.0
                    yield event
                elif quiet >= KEEP_ALIVE:
                    quiet = 0.0
                    yield _ALIVE
                quiet += EVERY
                try:
                    await asyncio.wait_for(self._stopping.wait(), EVERY)
                except TimeoutError:
                    continue
        finally:
            self._streams -= 1

    def _look(self) -> tuple[_Version, bytes]:
        host = self._host
        auditor: AuditCorrelator = host.component(AUDIT_CORRELATOR)
        version = (host.live.number, auditor.version, host.clock.speed)
        if version != self._version or not self._event:
            state = {
                **about(host),
                "chains": answers.chains(auditor),
                "findings": auditor.discrepancies(),
                "unexplained": auditor.false_alarms(),
                "report": answers.report(auditor),
                "ledger": answers.ledger(auditor),
            }
            self._version = version
            self._event = b"id: %d-%d\ndata: %b\n\n" % (*version[:2], msgspec.json.encode(state))
        return version, self._event

    async def _durable(self) -> bool:
        try:
            await self._host.durable()
        except Unavailable:
            return False
        return True


def about(host: Host) -> dict[str, Any]:
    """Which session, which run, and how fast its time goes."""
    return {
        "session": host.live.number,
        "run_id": host.session.run_id or None,
        "speed": round(host.speed, 1),
    }
