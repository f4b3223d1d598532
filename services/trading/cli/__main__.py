"""Entry point of the ``trading`` command."""

import json
import sys

import click

from trading.cli.audit import audit
from trading.cli.database import database
from trading.cli.deployment import cleanup, deploy, health, logs
from trading.cli.run import run
from trading.cli.scenario import scenario
from trading.cli.secrets import secrets
from trading.cli.serve import serve
from trading.cli.up import up


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="trading-ecosystem")
def cli() -> None:
    """Break a trading ecosystem on purpose, and prove that its risk controls notice in time.

    \b
    trading run market-crash               run a shipped scenario, get a verdict
    trading run my.yaml --report out/      ... with report.html, junit.xml and journals
    trading scenario list                  what is shipped
    trading scenario new my-scenario       start one of your own
    trading audit verify out/              check the journals of a run
    trading up                             all services on this machine, with a dashboard
    trading serve exchange                 one service in a process of its own
    trading deploy                         the ecosystem in containers; then health, logs, cleanup
    trading scenario run market-crash      break the running ecosystem
    """


@cli.command()
def schema() -> None:
    """Print the JSON Schema of a ChaosScenario, for editors and validators."""
    from trading.scenario.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


cli.add_command(run)
cli.add_command(scenario)
cli.add_command(audit)
cli.add_command(up)
cli.add_command(serve)
cli.add_command(database)
cli.add_command(secrets)
for command in (deploy, health, logs, cleanup):
    cli.add_command(command)


def main() -> None:
    """Run the command line; an interrupt ends it with 130, as shells expect."""
    try:
        # Without standalone mode click returns what a command exits with.
        sys.exit(cli(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)


if __name__ == "__main__":
    main()
