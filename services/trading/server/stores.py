"""Which journal store a process gets: all services' together, or one service's own."""

import asyncio
import contextlib
import logging

from trading.hosting.postgres import PostgresStore
from trading.hosting.settings import Settings
from trading.hosting.sqlite import SqliteStore
from trading.hosting.store import JournalStore, MemoryStore, StoreTaken, StoreUnavailable
from trading.topology import INSTANCES

log = logging.getLogger(__name__)

#: Wall seconds between two attempts, and between two lines in the log about them.
_AGAIN, _TELL_EVERY = 0.5, 5.0


def shared_store(settings: Settings) -> JournalStore:
    """The backend that the settings name, for all services. Raises StoreUnavailable."""
    return _store(settings, "journal", settings.database_schema)


def own_store(settings: Settings, service: str) -> tuple[JournalStore, str]:
    """One service's, and which instance of it this process is: empty for the first. A second
    trading engine finds the first one's taken and gets the next. Raises StoreUnavailable.
    """
    schema = service.replace("-", "_")
    last = INSTANCES.get(service, 1)
    for number in range(1, last + 1):
        instance = "" if number == 1 else str(number)
        ending = instance and f"-{instance}"
        try:
            return _store(settings, service + ending, schema + ending.replace("-", "_")), instance
        except StoreTaken:
            if number == last:
                raise
    raise AssertionError("unreachable")


async def opened_store(
    settings: Settings, service: str, stop: asyncio.Event
) -> tuple[JournalStore, str] | None:
    """As :func:`own_store`; where services start together with their database, it may be a while
    until that is there, or until a predecessor has let it go. None: ``stop`` came first. Raises
    StoreUnavailable once DATABASE_PATIENCE has run out.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + (settings.database_patience if settings.journal == "postgres" else 0)
    told = 0.0
    while not stop.is_set():
        try:
            return await asyncio.to_thread(own_store, settings, service)
        except StoreUnavailable as error:
            if clock() >= until:
                raise
            if clock() - told > _TELL_EVERY:
                told = clock()
                log.warning("waiting for the database: %s", error)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_AGAIN):
                await stop.wait()
    return None


def _store(settings: Settings, name: str, schema: str) -> JournalStore:
    if settings.journal == "sqlite":
        return SqliteStore(settings.data_dir / f"{name}.sqlite")
    if settings.database_url is not None and settings.journal == "postgres":
        return PostgresStore(settings.database_url.get_secret_value(), schema)
    return MemoryStore()
