"""The command ``trading database setup``: roles and schemas in PostgreSQL."""

import os
from pathlib import Path

import click

from trading.cli.output import say
from trading.cli.wrong_input import WrongInput
from trading.topology import SERVICES


@click.group()
def database() -> None:
    """Prepare PostgreSQL for services that are processes of their own."""


@database.command()
@click.option(
    "--passwords",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    required=True,
    help="A directory with one file for each service (exchange, risk-monitor, ...).",
)
def setup(passwords: Path) -> None:
    """Make one role and schema for each service; again changes only what is not so yet.

    ADMIN_DATABASE_URL (or the file that ADMIN_DATABASE_URL_FILE names) is of a role that may
    create others. Afterwards DATABASE_URL of the exchange is postgresql://exchange:PASSWORD@HOST/DB,
    of the risk monitor postgresql://risk_monitor:PASSWORD@HOST/DB, and so on.
    """
    import psycopg

    from trading.hosting.postgres import first_line
    from trading.server.database import set_up

    url = os.environ.get("ADMIN_DATABASE_URL", "")
    try:
        if path := os.environ.get("ADMIN_DATABASE_URL_FILE"):
            url = Path(path).read_text(encoding="utf-8").strip()
        passwords_by_service = {
            name: (passwords / name).read_text(encoding="utf-8").strip()
            for name in SERVICES
            if (passwords / name).exists()
        }
    except (OSError, UnicodeDecodeError) as error:
        raise WrongInput(str(error)) from error
    if not url:
        raise WrongInput("ADMIN_DATABASE_URL: must be set")
    missing = [name for name in SERVICES if not passwords_by_service.get(name)]
    if missing:
        raise WrongInput(f"{passwords}: no password for {', '.join(missing)}")
    try:
        schemas = set_up(url, passwords_by_service)
    except psycopg.Error as error:
        raise WrongInput(f"ADMIN_DATABASE_URL: {first_line(error)}") from error
    for schema in schemas:
        say(f"schema {schema}")
