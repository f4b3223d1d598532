"""The stream `/events`, which sends chains, report and ledger whenever the auditor has
read more.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from trading.api.audit_correlator import answers
from trading.audit_correlator import AuditCorrelator
from trading.hosting.host import Host
from trading.hosting.inputs import Unavailable

#: Wall seconds between two checks whether the auditor has read more.
POLL_INTERVAL = 0.25
#: Wall seconds without an event after which a keep-alive is sent.
KEEP_ALIVE = 10.0
#: Most streams at a time.
MAX_STREAMS = 200

_KEEP_ALIVE_EVENT = b": still here\nevent: alive\ndata: {}\n\n"


#: Number of the session, version of the auditor's state, speed of simulated time.
_Version = tuple[int, int, float]


class EventStream:
    """Makes the events of the stream. An event is encoded once, however many clients there are, and
    sent once what it says is durable. `stopping` is set when the service shuts down.
    """

    def __init__(self, stopping: asyncio.Event, host: Host) -> None:
        self._stopping = stopping
        self._host = host
        self._version: _Version = (0, 0, 0.0)
        self._event = b""
        self._streams = 0

    @property
    def full(self) -> bool:
        """Whether no further stream can be opened."""
        return self._streams >= MAX_STREAMS

    async def events(self) -> AsyncIterator[bytes]:
        """Yield the present state, then the state whenever it has changed, until the
        service stops.
        """
        sent_version: _Version | None = None
        quiet_seconds = 0.0
        self._streams += 1
        try:
            while not self._stopping.is_set():
                version, event = self._current_event()
                if version != sent_version and await self._wait_durable():
                    sent_version, quiet_seconds = version, 0.0
                    yield event
                elif quiet_seconds >= KEEP_ALIVE:
                    quiet_seconds = 0.0
                    yield _KEEP_ALIVE_EVENT
                quiet_seconds += POLL_INTERVAL
                try:
                    await asyncio.wait_for(self._stopping.wait(), POLL_INTERVAL)
                except TimeoutError:
                    continue
        finally:
            self._streams -= 1

    def _current_event(self) -> tuple[_Version, bytes]:
        """Return the present version and its event, which is encoded only if the version is new."""
        host = self._host
        auditor = host.component(AuditCorrelator)
        version = (host.session_number, auditor.version, host.clock.speed)
        if version != self._version or not self._event:
            state = {
                **session_info(host),
                "chains": answers.chains(auditor),
                "findings": auditor.discrepancies(),
                "unexplained": auditor.false_alarms(),
                "report": answers.report(auditor),
                "ledger": answers.ledger(auditor),
            }
            self._version = version
            self._event = b"id: %d-%d\ndata: %b\n\n" % (*version[:2], msgspec.json.encode(state))
        return version, self._event

    async def _wait_durable(self) -> bool:
        """Wait until everything decided is durable; return whether it is."""
        try:
            await self._host.durable()
        except Unavailable:
            return False
        return True


def session_info(host: Host) -> dict[str, Any]:
    """Return the session, its run, and the speed of its simulated time."""
    return {
        "session": host.session_number,
        "run_id": host.session.run_id or None,
        "speed": round(host.speed, 1),
    }
