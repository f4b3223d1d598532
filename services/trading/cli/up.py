"""``trading up``: the whole ecosystem on this machine."""

from pathlib import Path

import click

from trading.cli.deployment import up_on_kind
from trading.cli.wrong_input import WrongInput


@click.command()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where journals and credentials are kept. Default: DATA_DIR, or .trading here.",
)
@click.option(
    "--speed", type=click.FloatRange(0, 3600, min_open=True), help="Of time between runs."
)
@click.option("--memory", is_flag=True, help="Keep nothing: journals in memory.")
@click.option(
    "--on",
    "on",
    type=click.Choice(["here", "kind"]),
    default="here",
    show_default=True,
    help="In this process, or in a kind cluster, which is made where there is none.",
)
@click.option(
    "--without", multiple=True, metavar="COMPONENT", help="On kind: leave one out. Repeatable."
)
def up(
    data: Path | None, speed: float | None, memory: bool, on: str, without: tuple[str, ...]
) -> None:
    """Start all seven services on their ports, until Ctrl-C; or, with --on kind, in a cluster, to
    stay.

    \b
    exchange 8080 (Binance Spot API)   risk monitor 8084 (dashboard)
    custodian 8081                     test coordinator 8085 (scenarios)
    market data 8082                   audit correlator 8086
    trading engine 8083                each with /docs, /health, /metrics, /journal

    Started again, it goes on where it stopped. Settings come from the environment or .env:
    BIND_HOST, PORT_OFFSET, DATA_DIR, JOURNAL (sqlite, postgres, memory), DATABASE_URL,
    DATABASE_SCHEMA, REDIS_URL, SIM_SPEED, SIM_SEED, ENABLE_CHAOS_SCENARIOS, ENABLE_AUDIT_LOGGING,
    CHAOS_TOKEN, RISK_TOKEN, API_KEY, API_SECRET, LOG_LEVEL; and to follow real prices
    ENABLE_REAL_MARKET_DATA, ANCHOR_SECONDS, COINGECKO_API_KEY, COINGECKO_URL,
    COINMARKETCAP_API_KEY, COINMARKETCAP_URL; secrets also from files, e.g.
    CHAOS_TOKEN_FILE.
    """
    if on == "kind":
        if data is not None or speed is not None or memory:
            raise WrongInput("--data, --speed and --memory are for this process, not for --on kind")
        up_on_kind(without)
        return
    if without:
        raise WrongInput("--without is for --on kind")
    from trading.hosting.live import CannotRecover
    from trading.hosting.logs import configure, secrets_of
    from trading.hosting.loop import run
    from trading.hosting.settings import SettingsError, load_settings
    from trading.hosting.store import StoreUnavailable
    from trading.server.credentials import credentials
    from trading.server.listening import PortTaken
    from trading.server.parts import chaos_allowed
    from trading.server.up import serve

    overrides: dict[str, object] = {}
    if data is not None:
        overrides["data_dir"] = data
    if speed is not None:
        overrides["sim_speed"] = speed
    if memory:
        overrides["journal"] = "memory"
    try:
        settings = load_settings(overrides)
        known = credentials(settings)
    except SettingsError as error:
        raise WrongInput(str(error)) from error
    except OSError as error:
        raise WrongInput(f"DATA_DIR: {error.filename}: {error.strerror}") from error
    configure(settings.log_level, [*secrets_of(settings), *known.secrets()])

    def ready(urls: dict[str, str]) -> None:
        for name, url in urls.items():
            click.echo(f"{name:<17} {url}")
        click.echo(f"\ndashboard         {urls['risk-monitor']}/")
        kept = settings.data_dir / "credentials.json"
        if settings.journal == "memory":
            click.echo(f"API key           {known.api_key}\nAPI secret        {known.api_secret}")
            click.echo(f"chaos token       {known.chaos_token}")
        else:
            click.echo(f"API key, tokens   {kept}")
        if chaos_allowed(settings):
            click.echo("break something   trading scenario run market-crash")
        click.echo("ready; Ctrl-C ends it")

    try:
        run(serve(settings, known, ready))
    except PortTaken as error:
        raise WrongInput(f"cannot listen on {error}; is it running already?") from error
    except (CannotRecover, StoreUnavailable) as error:
        kept = "DATABASE_URL" if settings.journal == "postgres" else settings.data_dir
        raise WrongInput(f"{kept}: {error}") from error
    click.echo("stopped; everything is kept" if settings.journal != "memory" else "stopped")
