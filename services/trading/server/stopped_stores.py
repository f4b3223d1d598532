"""Opens all journal stores of a stopped ecosystem, for checks and archives."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg

from trading.hosting.postgres import PostgresStore, first_line
from trading.hosting.sqlite import SqliteStore
from trading.hosting.store import JournalStore, StoreInUse, StoreUnavailable


class NoJournals(ValueError):
    """Raised if the directory or database has no journals."""


@contextmanager
def stores_in_directory(data: Path) -> Iterator[dict[str, JournalStore]]:
    """Open the stores of all SQLite files in ``data``, by the name of the file.

    Raises NoJournals, StoreUnavailable, and StoreInUse while a process uses one of them.
    """
    files = sorted(data.glob("*.sqlite"))
    if not files:
        raise NoJournals(f"{data}: no journals there (*.sqlite)")
    with _open_all({file.stem: partial(SqliteStore, file) for file in files}) as stores:
        yield stores


@contextmanager
def stores_in_database(url: str) -> Iterator[dict[str, JournalStore]]:
    """Open the stores of all schemas with journals that the role of ``url`` may read, by schema.

    Raises NoJournals, StoreUnavailable, and StoreInUse while a process uses one of them.
    """
    try:
        with psycopg.connect(url, connect_timeout=10, client_encoding="utf8") as db:
            schemas = db.execute(
                "SELECT table_schema FROM information_schema.tables"
                " WHERE table_name IN ('entry', 'segment') GROUP BY 1 HAVING count(*) = 2"
                " ORDER BY 1"
            ).fetchall()
    except psycopg.Error as error:
        raise StoreUnavailable(first_line(error)) from error
    if not schemas:
        raise NoJournals("no journals there that this role may read; each service makes its own")
    with _open_all({name: partial(PostgresStore, url, name) for (name,) in schemas}) as stores:
        yield stores


@contextmanager
def _open_all(
    openers: Mapping[str, Callable[[], JournalStore]],
) -> Iterator[dict[str, JournalStore]]:
    """Open the stores one after the other, and close all of them at the end."""
    stores: dict[str, JournalStore] = {}
    try:
        for name, opener in openers.items():
            stores[name] = opener()
        yield stores
    except StoreInUse as error:
        raise StoreInUse(f"{error}; stop the ecosystem first") from error
    finally:
        for store in stores.values():
            store.close()
