"""The command ``trading login``: a link that logs a browser in at the dashboard."""

import os
from pathlib import Path

import click

from trading.cli.wrong_input import WrongInput

DEFAULT_URL = "http://127.0.0.1:8084"

#: The option by which a client of a running ecosystem finds its credentials.
data_option = click.option(
    "--data",
    envvar="DATA_DIR",
    type=click.Path(path_type=Path),
    default=Path(".trading"),
    metavar="DIR",
    help="Where trading up keeps its credentials. Default: .trading here.",
)


@click.command()
@click.option(
    "--target",
    envvar="RISK_MONITOR_URL",
    default=DEFAULT_URL,
    show_default=True,
    metavar="URL",
    help="The risk monitor.",
)
@data_option
def login(target: str, data: Path) -> None:
    """Print a link to the dashboard of a running ecosystem, with the right to act there.

    It works once, within a day. The token is RISK_TOKEN, else the one that trading up or trading
    serve keeps, else that of the Compose deployment here, or of kubectl's cluster.
    """
    import httpx

    from trading.deploy.token import risk_token
    from trading.server.credentials import read_credentials

    token = os.environ.get("RISK_TOKEN") or str(read_credentials(data).get("risk_token", ""))
    token = token or risk_token(Path.cwd())
    if not token:
        raise WrongInput(f"no risk token: set RISK_TOKEN, or --data; {data} has none")
    url = target.rstrip("/")
    headers = {"Authorization": f"Bearer {token}"}
    try:
        response = httpx.post(f"{url}/login/links", headers=headers, timeout=10)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise WrongInput(
            f"no risk monitor at {url} ({error}); start one with: trading up"
        ) from error
    if response.status_code != 201:
        raise WrongInput(f"{url}: {response.status_code} {response.text[:200]}")
    click.echo(f"{url}{response.json()['path']}")
