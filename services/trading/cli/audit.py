"""``trading audit``: check the evidence of a run."""

from pathlib import Path

import click

from trading.cli.wrong_input import WrongInput


@click.group()
def audit() -> None:
    """Check the evidence of a run."""


@audit.command()
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
def verify(directory: Path) -> None:
    """Check every journal in DIR (from trading run --report DIR) against its hash chain.

    \b
    Exit code: 0 intact, 1 tampered, truncated or not reconciled, 2 no such report.
    """
    from trading.embedded.archive import verify_directory

    try:
        report = verify_directory(directory)
    except (OSError, ValueError) as error:
        raise WrongInput(f"{directory}: {error}") from error
    for line in report.lines():
        click.echo(line)
    if not report.intact:
        raise click.exceptions.Exit(1)
