"""The commands ``trading archive ...``: journals as files that need no database."""

from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trading.cli.output import say
from trading.cli.wrong_input import WrongInput

if TYPE_CHECKING:
    from trading.hosting.store import JournalStore


@click.group()
def archive() -> None:
    """Keep journals as files, and check them years later."""


@archive.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where the journals are. Default: as the settings say, DATA_DIR or DATABASE_URL.",
)
@click.option("--database", metavar="URL", help="The PostgreSQL database that they are in.")
@click.option(
    "--before",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    metavar="DATE",
    help="Only sessions that were opened before then, UTC. Each run is a session.",
)
@click.option(
    "--keep-newest",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Leave the newest N sessions alone.",
)
@click.option(
    "--drop",
    is_flag=True,
    help="Then drop from the database what is safe in DIR; its hashes stay, and so does what the"
    " newest session needs to go on.",
)
def create(
    directory: Path,
    data: Path | None,
    database: str | None,
    before: datetime | None,
    keep_newest: int,
    drop: bool,
) -> None:
    """Write the journals of a stopped ecosystem to DIR, those that are not there yet.

    DIR gets a file of gzipped JSON lines, as GET /journal has them, for each 4096 entries, and
    manifest.json, which says between which hashes each belongs. Interrupted, it can be called
    again. A database file does not become smaller by --drop: what is free is used again.

    \b
    Exit code: 0 written, 1 a journal is damaged, 2 still running, or wrong input.
    """
    from trading.hosting.archive import ArchiveResult
    from trading.hosting.archive import create as create_archive
    from trading.hosting.archived import ArchiveUnusable
    from trading.hosting.store import EntriesLost, StoreUnavailable
    from trading.links.frames import newest_addressed
    from trading.server.stopped_stores import NoJournals

    if data is not None and database is not None:
        raise WrongInput("--data and --database: give one of them")
    opened_before = before.replace(tzinfo=UTC).isoformat(timespec="seconds") if before else ""
    total = ArchiveResult()
    try:
        with _open_stores(data, database) as stores:
            for name, store in stores.items():
                result = create_archive(
                    store,
                    name,
                    directory,
                    before=opened_before,
                    keep_newest=keep_newest,
                    drop_entries=drop,
                    addressed=newest_addressed,
                    tell=lambda line: say(line, err=True),
                )
                total.written += result.written
                total.freed += result.freed
    except (ArchiveUnusable, NoJournals, StoreUnavailable) as error:
        raise WrongInput(str(error)) from error
    except OSError as error:
        raise WrongInput(f"{error.filename or directory}: {error.strerror}") from error
    except EntriesLost as error:
        raise click.ClickException(str(error)) from error
    dropped = f", {total.freed / 1e6:.1f} MB dropped from the database" if drop else ""
    say(f"{directory}: {total.written} new segments{dropped}")


@archive.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
def verify(directory: Path) -> None:
    """Check every journal in DIR: its files, its hash chain, and that nothing between is missing.

    \b
    Exit code: 0 intact, 1 tampered or incomplete, 2 no such archive.
    """
    from trading.hosting.archived import ArchiveUnusable, check

    journals = broken = 0
    try:
        for journal, problem in check(directory):
            journals += 1
            broken += bool(problem) and not problem.startswith("note:")
            if problem:
                say(f"{journal}: {problem}")
    except ArchiveUnusable as error:
        raise WrongInput(str(error)) from error
    except OSError as error:
        raise WrongInput(f"{error.filename}: {error.strerror}") from error
    if broken:
        say(f"{directory}: {broken} of {journals} journals do not hold")
        raise click.exceptions.Exit(1)
    say(f"{directory}: {journals} journals, every chain holds")


def _open_stores(
    data: Path | None, database: str | None
) -> "AbstractContextManager[dict[str, JournalStore]]":
    """Open the stores that the options name, or else those of the settings. Raises WrongInput."""
    from trading.hosting.settings import SettingsError, load_settings
    from trading.server.stopped_stores import stores_in_database, stores_in_directory

    if data is not None:
        return stores_in_directory(data)
    if database is not None:
        return stores_in_database(database)
    try:
        settings = load_settings(watches_risk=False)
    except SettingsError as error:
        raise WrongInput(str(error)) from error
    if settings.journal == "postgres" and settings.database_url is not None:
        return stores_in_database(settings.database_url.get_secret_value())
    return stores_in_directory(settings.data_dir)
