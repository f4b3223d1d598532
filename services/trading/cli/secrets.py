"""The command ``trading secrets``: generates the secrets of a deployment."""

from pathlib import Path

import click

from trading.cli.output import say
from trading.cli.wrong_input import WrongInput


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@click.option(
    "--hosts",
    default="trading-",
    show_default=True,
    metavar="PREFIX",
    help="Before the names of hosts in addresses: trading-postgres.",
)
@click.option("--no-chaos", is_flag=True, help="No token for scenarios: none can be run.")
@click.option(
    "--tls",
    is_flag=True,
    help="PostgreSQL and Redis by TLS alone: an authority of your own, and their certificate;"
    " again later, it is renewed where less than 30 days are left.",
)
@click.option(
    "--owned",
    is_flag=True,
    help="Each folder belongs to its component's user in the images. Needs root.",
)
@click.option("--existing", is_flag=True, help="Only into folders that are there.")
def secrets(
    directory: Path, hosts: str, no_chaos: bool, tls: bool, owned: bool, existing: bool
) -> None:
    """Make every secret of a deployment in DIR, one folder for each component.

    What is there already is kept, so that a second time changes nothing. No value is printed.

    \b
    For Compose, in development, a container does this by itself. For production:
      trading secrets /etc/trading --no-chaos --tls --owned
      TRADING_SECRETS_DIR=/etc/trading docker compose -f docker-compose.prod.yml up -d
    """
    from trading.deploy.secrets import make

    try:
        written = make(
            directory,
            prefix=hosts,
            chaos=not no_chaos,
            tls=tls,
            owned=owned,
            existing=existing,
        )
    except OSError as error:
        raise WrongInput(f"{error.filename or directory}: {error.strerror}") from error
    except ValueError as error:
        raise WrongInput(
            f"{directory}: {error}; if the authority's or the stores' certificate there is damaged,"
            " remove the folders authority and tls, and both are made again"
        ) from error
    for path in written:
        say(str(path.relative_to(directory)))
    say(f"{len(written)} secrets made" if written else "nothing was missing")
