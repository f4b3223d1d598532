"""``trading serve``: one service in a process of its own."""

from pathlib import Path

import click

from trading.cli.wrong_input import WrongInput
from trading.topology import RISK_MONITOR, SERVICES


@click.command()
@click.argument("service", type=click.Choice(sorted(SERVICES)))
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where the journal and credentials are kept. Default: DATA_DIR, or .trading here.",
)
@click.option("--port", type=click.IntRange(1, 65535), help="Another port than the service's own.")
@click.option("--memory", is_flag=True, help="Keep nothing: the journal in memory.")
def serve(service: str, data: Path | None, port: int | None, memory: bool) -> None:
    """Start one SERVICE, until Ctrl-C; it links itself to the others.

    \b
    trading serve exchange &              each in a process of its own; on one machine,
    trading serve custodian &             with the same data directory, they find and
    trading serve market-data &           know each other without any setting
    trading serve trading-engine &
    trading serve risk-monitor &
    trading serve test-coordinator &
    trading serve audit-correlator &

    Where the others are: EXCHANGE_URL, CUSTODIAN_URL, MARKET_DATA_URL, TRADING_ENGINE_URL,
    RISK_MONITOR_URL, TEST_COORDINATOR_URL, AUDIT_CORRELATOR_URL; several instances separated by
    commas. LINK_TOKEN and LINK_PEERS: how they know each other where BIND_HOST is no loopback
    address. REDIS_URL: several trading engines share the strategies by it. JOURNAL=postgres
    keeps the journal in DATABASE_URL, in a schema named after the service. All other settings
    are those of trading up.
    """
    from trading.hosting.live import CannotRecover
    from trading.hosting.logs import configure, secrets_of
    from trading.hosting.loop import run
    from trading.hosting.settings import SettingsError, load_settings
    from trading.hosting.store import StoreUnavailable
    from trading.links.peers import peers
    from trading.server.credentials import credentials
    from trading.server.listening import PortTaken
    from trading.server.serve import check
    from trading.server.serve import serve as serve_one

    overrides: dict[str, object] = {}
    if data is not None:
        overrides["data_dir"] = data
    if memory:
        overrides["journal"] = "memory"
    try:
        settings = load_settings(overrides, watches_risk=service == RISK_MONITOR)
        check(service, settings)
        known = credentials(settings)
        found = peers(service, settings)
    except SettingsError as error:
        raise WrongInput(str(error)) from error
    except OSError as error:
        raise WrongInput(f"DATA_DIR: {error.filename}: {error.strerror}") from error
    configure(settings.log_level, [*secrets_of(settings), *known.secrets(), *found.secrets()])

    def ready(url: str) -> None:
        click.echo(f"{service} {url}")

    try:
        run(serve_one(service, settings, known, found, ready, port=port or 0))
    except PortTaken as error:
        raise WrongInput(f"cannot listen on {error}; is it running already?") from error
    except (CannotRecover, StoreUnavailable) as error:
        kept = "DATABASE_URL" if settings.journal == "postgres" else settings.data_dir
        raise WrongInput(f"{kept}: {error}") from error
    click.echo("stopped; everything is kept" if settings.journal != "memory" else "stopped")
