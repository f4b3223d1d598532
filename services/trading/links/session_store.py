"""The documents that the coordinator stores beside a session and its run.

They outlive the coordinator's process: one that restarts in the middle of a run continues with the
same instances, and reports the same changes of the platform's network and the same journal heads.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import msgspec

from trading.hosting.host import Host
from trading.hosting.session_control import DISMISSED_INSTANCES, NETWORK_CHANGES
from trading.hosting.store_retry import retry_while_unavailable
from trading.links.platform import PlatformChange
from trading.scenario.result import JournalHead

#: Kind of the documents that store the journal heads of a run that is over, by session.
HEADS = "heads"


class SessionStore:
    """Reads and writes the documents of the session that ``host`` is in."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def dismissed(self) -> dict[str, int]:
        """Return the instances that the run goes on without, with the simulated time in
        microseconds since which it does.
        """
        body = self._host.store.document(DISMISSED_INSTANCES, self._host.session.run_id)
        return msgspec.json.decode(body or b"{}", type=dict[str, int])

    async def add_dismissed(self, name: str, at: int) -> None:
        """Store that the run goes on without an instance since the simulated time ``at``. Returns
        when it is stored: while the store is unavailable simulated time has to wait.
        """
        dismissed = await retry_while_unavailable(self.dismissed)
        body = msgspec.json.encode({**dismissed, name: at})
        await retry_while_unavailable(
            self._host.store.put, DISMISSED_INSTANCES, self._host.session.run_id, body
        )

    def changes(self) -> list[PlatformChange]:
        """Return what the platform's network did in the run, oldest first."""
        body = self._host.store.document(NETWORK_CHANGES, self._host.session.run_id)
        return msgspec.json.decode(body or b"[]", type=list[PlatformChange])

    def put_changes(self, changes: Sequence[PlatformChange]) -> Coroutine[Any, Any, None]:
        """Return a coroutine that stores what the platform's network has done in the run so far. It
        waits while the store is unavailable.
        """
        body = msgspec.json.encode(changes)
        return retry_while_unavailable(
            self._host.store.put, NETWORK_CHANGES, self._host.session.run_id, body
        )

    async def heads(self) -> dict[str, JournalHead]:
        """Return the stored journal heads of the session; an empty mapping if there are none."""
        number = str(self._host.session_number)
        body = await asyncio.to_thread(self._host.store.document, HEADS, number)
        return msgspec.json.decode(body or b"{}", type=dict[str, JournalHead])

    async def put_heads(self, heads: dict[str, JournalHead]) -> None:
        """Store the journal heads of the session. Raises StoreUnavailable."""
        body = msgspec.json.encode(heads)
        number = str(self._host.session_number)
        await asyncio.to_thread(self._host.store.put, HEADS, number, body)
