"""The command ``trading up``: the whole ecosystem on this machine."""

from pathlib import Path

import click

from trading.cli.deployment import up_on_kind
from trading.cli.hosting import accept_loss_option, overrides, report_end, settings_errors
from trading.cli.output import say
from trading.cli.wrong_input import WrongInput


@click.command()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where journals and credentials are kept. Default: DATA_DIR, or .trading here.",
)
@click.option(
    "--speed",
    type=click.FloatRange(0, 3600, min_open=True),
    help="Of time between runs, simulated seconds per wall second.",
)
@click.option("--memory", is_flag=True, help="Keep nothing: journals in memory.")
@accept_loss_option
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
    data: Path | None,
    speed: float | None,
    memory: bool,
    accept_loss: bool,
    on: str,
    without: tuple[str, ...],
) -> None:
    """Start all seven services on their ports, until Ctrl-C; or, with --on kind, in a cluster, to
    stay.

    \b
    exchange 8080 (Binance Spot API)   risk monitor 8084 (dashboard)
    custodian 8081                     test coordinator 8085 (scenarios)
    market data 8082                   audit correlator 8086
    trading engine 8083                each with /docs, /health, /metrics, /journal

    Started again, it goes on where it stopped. Settings come from the environment or .env:
    BIND_HOST, PORT_OFFSET, DATA_DIR, JOURNAL (sqlite, postgres, memory), JOURNAL_RETENTION,
    DATABASE_URL, DATABASE_SCHEMA, REDIS_URL, SIM_SPEED, SIM_SEED, ENABLE_CHAOS_SCENARIOS,
    ENABLE_AUDIT_LOGGING, ALLOWED_HOSTS, CHAOS_TOKEN, RISK_TOKEN, READ_TOKEN, API_KEY, API_SECRET,
    LOG_LEVEL; and to follow
    real prices ENABLE_REAL_MARKET_DATA, ANCHOR_SECONDS, COINGECKO_API_KEY, COINGECKO_URL,
    COINMARKETCAP_API_KEY, COINMARKETCAP_URL; secrets also from files, e.g.
    CHAOS_TOKEN_FILE.
    """
    if on == "kind":
        if data is not None or speed is not None or memory or accept_loss:
            raise WrongInput(
                "--data, --speed, --memory and --accept-loss are for this process, not for --on"
                " kind"
            )
        up_on_kind(without)
        return
    if without:
        raise WrongInput("--without is for --on kind")
    from trading.hosting.logs import configure, secrets_of
    from trading.hosting.loop import run
    from trading.hosting.settings import load_settings
    from trading.server.credentials import credentials
    from trading.server.service_specs import chaos_allowed
    from trading.server.up import serve

    with settings_errors():
        settings = load_settings(overrides(data, memory, accept_loss, speed))
        own_credentials = credentials(settings)
    configure(settings.log_level, [*secrets_of(settings), *own_credentials.secrets()])

    def ready(urls: dict[str, str], login: str) -> None:
        for name, url in urls.items():
            say(f"{name:<17} {url}")
        say(f"\ndashboard         {urls['risk-monitor']}/")
        say(f"act there, once   {urls['risk-monitor']}{login}")
        credentials_file = settings.data_dir / "credentials.json"
        if settings.journal == "memory":
            say(f"API key           {own_credentials.api_key}")
            say(f"API secret        {own_credentials.api_secret}")
            say(f"chaos token       {own_credentials.chaos_token}")
            say(f"risk token        {own_credentials.risk_token}")
        else:
            say(f"API key, tokens   {credentials_file}")
        if chaos_allowed(settings):
            say("break something   trading scenario run market-crash")
        say("ready; Ctrl-C ends it")

    with report_end(settings):
        run(serve(settings, own_credentials, ready))
