"""Which journal store a process gets: all services' together, or one service's own."""

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import NamedTuple

from trading.hosting.heads import HeadsFile
from trading.hosting.postgres import PostgresStore
from trading.hosting.settings import Settings
from trading.hosting.sqlite import SqliteStore
from trading.hosting.store import JournalStore, MemoryStore, StoreTaken, StoreUnavailable
from trading.topology import INSTANCES

log = logging.getLogger(__name__)

#: Wall seconds between two attempts, and between two lines in the log about them.
_AGAIN, _TELL_EVERY = 0.5, 5.0


class Opened(NamedTuple):
    """A store, and the second place where the heads of its journals are; None: they are in memory
    only. ``instance``: which one of its service the process is, empty for the first.
    """

    store: JournalStore
    heads: HeadsFile | None
    instance: str = ""


def shared_store(settings: Settings) -> Opened:
    """The backend that the settings name, for all services. Raises StoreUnavailable."""
    return _store(settings, "journal", settings.database_schema)


def own_store(settings: Settings, service: str) -> Opened:
    """Open one service's own. A second trading engine finds the first one's taken and gets the
    next. Raises StoreUnavailable.
    """
    schema = service.replace("-", "_")
    last = INSTANCES.get(service, 1)
    for number in range(1, last + 1):
        instance = "" if number == 1 else str(number)
        ending = instance and f"-{instance}"
        try:
            opened = _store(settings, service + ending, schema + ending.replace("-", "_"))
            return opened._replace(instance=instance)
        except StoreTaken:
            if number == last:
                raise
    raise AssertionError("unreachable")


async def opened_store(settings: Settings, service: str, stop: asyncio.Event) -> Opened | None:
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


def _store(settings: Settings, name: str, schema: str) -> Opened:
    directory = settings.data_dir
    if settings.journal == "sqlite":
        store = SqliteStore(directory / f"{name}.sqlite")
        return Opened(store, HeadsFile(heads_path(directory, name), lasts=True))
    if settings.database_url is not None and settings.journal == "postgres":
        # The data directory may be a container's own, which goes with it.
        heads = HeadsFile(heads_path(directory, f"postgres-{schema}"), lasts=False)
        return Opened(PostgresStore(settings.database_url.get_secret_value(), schema), heads)
    return Opened(MemoryStore(), None)


def heads_path(directory: Path, name: str) -> Path:
    """Return where the heads of the store ``name`` are noted."""
    return directory / f"{name}.heads"
