"""Opens the journal store of a process: one for all services, or one for a single service.

The settings choose the backend: SQLite, PostgreSQL or memory.
"""

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import NamedTuple

from trading.hosting.heads import HeadsFile
from trading.hosting.postgres import PostgresStore
from trading.hosting.settings import Settings
from trading.hosting.sqlite import SqliteStore
from trading.hosting.store import JournalStore, MemoryStore, StoreInUse, StoreUnavailable
from trading.topology import MAX_INSTANCES

log = logging.getLogger(__name__)

#: Wall-clock seconds between two attempts, and between two log lines about them.
_RETRY_DELAY, _LOG_INTERVAL = 0.5, 5.0


class OpenStore(NamedTuple):
    """An open journal store.

    ``heads`` is the file beside it that records the heads of its journals, so that a loss in the
    store is noticed; None for a store in memory. ``instance`` tells the instances of a service
    apart: it is empty for the first, then "2" and so on.
    """

    store: JournalStore
    heads: HeadsFile | None
    instance: str = ""


def open_shared_store(settings: Settings) -> OpenStore:
    """Open the store that all services of one process share. Raises StoreUnavailable."""
    return _open_store(settings, "journal", settings.database_schema)


def open_service_store(settings: Settings, service: str) -> OpenStore:
    """Open the store of one service.

    If the service may have several instances, the first store that no other process uses is opened,
    and its number becomes the instance. Raises StoreUnavailable.
    """
    schema = service.replace("-", "_")
    last = MAX_INSTANCES.get(service, 1)
    for number in range(1, last + 1):
        instance = "" if number == 1 else str(number)
        suffix = instance and f"-{instance}"
        try:
            store = _open_store(settings, service + suffix, schema + suffix.replace("-", "_"))
            return store._replace(instance=instance)
        except StoreInUse:
            if number == last:
                raise
    raise AssertionError("unreachable")


async def wait_for_store(settings: Settings, service: str, stop: asyncio.Event) -> OpenStore | None:
    """Open the store of one service; retry while PostgreSQL is not available.

    A database that is started together with the services takes a while, and so does a predecessor
    of this process that still uses the store. Returns None if ``stop`` was set first. Raises
    StoreUnavailable after DATABASE_PATIENCE.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + (settings.database_patience if settings.journal == "postgres" else 0)
    logged_at = 0.0
    while not stop.is_set():
        try:
            return await asyncio.to_thread(open_service_store, settings, service)
        except StoreUnavailable as error:
            if clock() >= deadline:
                raise
            if clock() - logged_at > _LOG_INTERVAL:
                logged_at = clock()
                log.warning("waiting for the database: %s", error)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RETRY_DELAY):
                await stop.wait()
    return None


def _open_store(settings: Settings, name: str, schema: str) -> OpenStore:
    directory = settings.data_dir
    if settings.journal == "sqlite":
        store = SqliteStore(directory / f"{name}.sqlite")
        return OpenStore(store, HeadsFile(heads_path(directory, name), lasts=True))
    if settings.database_url is not None and settings.journal == "postgres":
        # The data directory may belong to the container and disappear with it.
        heads = HeadsFile(heads_path(directory, f"postgres-{schema}"), lasts=False)
        return OpenStore(PostgresStore(settings.database_url.get_secret_value(), schema), heads)
    return OpenStore(MemoryStore(), None)


def heads_path(directory: Path, name: str) -> Path:
    """Return the path of the file that records the heads of the store ``name``."""
    return directory / f"{name}.heads"
