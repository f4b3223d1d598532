"""The command ``trading audit verify``: checks the evidence of a run, or stored journals."""

import re
from pathlib import Path

import click

from trading.cli.output import say
from trading.cli.wrong_input import WrongInput


@click.group()
def audit() -> None:
    """Check the evidence of a run."""


@audit.command()
@click.argument("directory", type=click.Path(path_type=Path), metavar="[DIR]", required=False)
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Instead: every session that a stopped ecosystem has kept there (SQLite).",
)
@click.option(
    "--database",
    metavar="URL",
    help="Instead: every session that a stopped ecosystem has kept there (PostgreSQL).",
)
@click.option(
    "--root",
    metavar="HEX",
    help="The audit's root, from a copy kept elsewhere: the terminal's output, or"
    " .status.audit.root of a ChaosScenario.",
)
@click.option(
    "--public-key",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Whose signature it must have: without a good one the evidence does not hold.",
)
def verify(
    directory: Path | None,
    data: Path | None,
    database: str | None,
    root: str | None,
    public_key: Path | None,
) -> None:
    """Compute the run in DIR (from trading run --report DIR) again, and compare everything.

    What came from outside is taken from its journals, all else follows from its plan: every entry
    of every journal and every field of verdict.json. Each difference is named. It takes as long as
    the run has taken.

    With --data or --database: check what an ecosystem has kept. Every chain, every entry by doing
    again what was received, and the heads that verdicts name.

    \b
    Exit code: 0 as computed, 1 tampered or incomplete, 2 no such report, or still running.
    """
    if sum(option is not None for option in (directory, data, database)) != 1:
        raise WrongInput("give one of: DIR of a report, --data DIR, --database URL")
    if directory is None:
        if root is not None or public_key is not None:
            raise WrongInput("--root and --public-key are for the report of one run")
        _verify_stores(data, database)
        return
    from trading.cli.keys import read_public_key
    from trading.embedded.verification import verify_directory

    if root is not None and not re.fullmatch("[0-9a-fA-F]{64}", root):
        raise WrongInput(f"--root {root}: a root has 64 hexadecimal digits")
    key = read_public_key(public_key) if public_key is not None else None
    try:
        report = verify_directory(directory, root=root or "", public_key=key)
    except (OSError, ValueError) as error:
        raise WrongInput(f"{directory}: {error}") from error
    for line in report.lines():
        say(line)
    if not report.intact:
        raise click.exceptions.Exit(1)


def _verify_stores(data: Path | None, database: str | None) -> None:
    """Check the journals of a stopped ecosystem; exit with 1 if they were changed or lost."""
    from trading.hosting.heads import HeadsFile
    from trading.hosting.store import StoreUnavailable
    from trading.server.journal_check import LengthCheck, StoreCheck
    from trading.server.stopped_stores import NoJournals, stores_in_database, stores_in_directory
    from trading.server.stores import heads_path

    sessions = entries = serious_count = 0
    lengths = LengthCheck()
    try:
        opener = (
            stores_in_directory(data) if data is not None else stores_in_database(database or "")
        )
        with opener as stores:
            for name, store in stores.items():
                heads = HeadsFile(heads_path(data, name), lasts=True) if data is not None else None
                check = StoreCheck(name, store, lengths, heads)
                for finding in check.check():
                    serious_count += finding.serious
                    say(f"{finding.where}: {'' if finding.serious else 'note: '}{finding.text}")
                sessions += check.sessions
                entries += check.entries
            for finding in lengths.findings():
                serious_count += 1
                say(f"{finding.where}: {finding.text}")
    except (NoJournals, StoreUnavailable) as error:
        raise WrongInput(str(error)) from error
    checked = f"{entries} entries in {sessions} sessions"
    if serious_count:
        say(f"{checked}: the journals do not hold")
        raise click.exceptions.Exit(1)
    say(f"{checked}: every chain holds, and every entry follows from what was received")
