"""The entry point of the ``trading`` command: the group of all commands, and its exit codes."""

import json
import sys
import traceback

import click

from trading.cli.archive import archive
from trading.cli.audit import audit
from trading.cli.database import database
from trading.cli.deployment import cleanup, deploy, health, logs
from trading.cli.keys import keys
from trading.cli.login import login
from trading.cli.output import say, say_json
from trading.cli.run import EXIT_CODES, run
from trading.cli.scenario import scenario
from trading.cli.secrets import secrets
from trading.cli.serve import serve
from trading.cli.tape import score, tape
from trading.cli.up import up
from trading.scenario.result import Outcome


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="trading-ecosystem")
def cli() -> None:
    """Break a trading ecosystem on purpose, and prove that its risk controls notice in time.

    \b
    trading run market-crash               run a shipped scenario, get a verdict
    trading run my.yaml --report out/      ... with report.html, junit.xml and journals
    trading run my.yaml --monitor exec:./m ... judging your own risk monitor
    trading tape market-crash --out tape/  what a monitor sees, as a file; then trading score
    trading scenario list                  what is shipped
    trading scenario new my-scenario       start one of your own
    trading audit verify out/              compute a run again from its journals, and compare
    trading keys new                       a key to sign evidence with
    trading archive create kept/           journals of a stopped ecosystem as files
    trading up                             all services on this machine, with a dashboard
    trading login                          a link to act at the dashboard
    trading serve exchange                 one service in a process of its own
    trading deploy                         the ecosystem in containers; then health, logs, cleanup
    trading scenario run market-crash      break the running ecosystem
    """


@cli.command()
def schema() -> None:
    """Print the JSON Schema of a ChaosScenario, for editors and validators."""
    from trading.scenario.schema import json_schema

    say_json(json.dumps(json_schema(), indent=2))


cli.add_command(run)
cli.add_command(scenario)
cli.add_command(tape)
cli.add_command(score)
cli.add_command(audit)
cli.add_command(keys)
cli.add_command(archive)
cli.add_command(up)
cli.add_command(serve)
cli.add_command(login)
cli.add_command(database)
cli.add_command(secrets)
for command in (deploy, health, logs, cleanup):
    cli.add_command(command)


def main() -> None:
    """Run the command line and exit.

    Exit codes beyond those of the commands: 130 after an interrupt, 141 if the output was closed,
    both as shells expect, and that of Error for an unexpected exception.
    """
    try:
        # Without standalone mode, click returns the exit code of a command.
        sys.exit(cli(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        say("interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except Exception:
        # Python would exit with 1, which would mean that a scenario failed.
        say(traceback.format_exc(), err=True)
        sys.exit(EXIT_CODES[Outcome.ERROR])


if __name__ == "__main__":
    main()
