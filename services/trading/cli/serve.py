"""The command ``trading serve``: one service in a process of its own."""

from pathlib import Path

import click

from trading.cli.hosting import accept_loss_option, overrides, report_end, settings_errors
from trading.cli.output import say
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
@accept_loss_option
def serve(
    service: str, data: Path | None, port: int | None, memory: bool, accept_loss: bool
) -> None:
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
    from trading.hosting.logs import configure, secrets_of
    from trading.hosting.loop import run
    from trading.hosting.settings import load_settings
    from trading.links.peers import load_peers
    from trading.server.credentials import credentials
    from trading.server.serve import check_settings
    from trading.server.serve import serve as serve_service

    with settings_errors():
        settings = load_settings(
            overrides(data, memory, accept_loss), watches_risk=service == RISK_MONITOR
        )
        check_settings(service, settings)
        own_credentials = credentials(settings)
        service_peers = load_peers(service, settings)
    configure(
        settings.log_level,
        [*secrets_of(settings), *own_credentials.secrets(), *service_peers.secrets()],
    )

    def ready(url: str) -> None:
        say(f"{service} {url}")

    with report_end(settings):
        run(serve_service(service, settings, own_credentials, service_peers, ready, port=port or 0))
