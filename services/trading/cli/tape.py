"""The commands ``trading tape`` and ``trading score``: judge a monitor by a file of its alerts."""

import sys
from pathlib import Path

import click

from trading.cli.options import seed_option, sets_option
from trading.cli.output import say, say_json
from trading.cli.run import EXIT_CODES
from trading.cli.wrong_input import WrongInput, parse_sets, wrong_input


@click.command()
@click.argument("scenario", metavar="FILE")
@seed_option
@sets_option
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Directory to write to.",
)
def tape(scenario: str, seed: int | None, sets: tuple[str, ...], out: Path) -> None:
    """Write what a monitor sees in the scenario FILE (or the name of a shipped one).

    DIR/events.ndjson has the lines that a program in lockstep reads, DIR/quiet.ndjson those of the
    same market without the faults. What was injected, and when, is in DIR/truth, for trading score.
    """
    from trading.embedded.api import load_scenario
    from trading.embedded.monitored import load_with_monitors
    from trading.embedded.tape import EVENTS, QUIET, TRUTH, TapeError, write_tape
    from trading.monitors.sources import MonitorSource
    from trading.scenario.plan import ALERTS_FILE

    overrides = parse_sets(sets)
    with wrong_input():
        names = load_scenario(scenario, seed=seed, overrides=overrides).plan.own_monitors
        sources = [MonitorSource(name, ALERTS_FILE) for name in names or ("monitor",)]
        plan = load_with_monitors(scenario, sources, seed=seed, overrides=overrides).plan
    try:
        write_tape(plan, out)
    except TapeError as error:
        raise WrongInput(str(error)) from error
    except OSError as error:
        raise WrongInput(f"--out {out}: {error.strerror}") from error
    say(f"events:         {out / EVENTS}")
    say(f"without faults: {out / QUIET}")
    say(f"truth:          {out / TRUTH}")


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.argument("alerts", metavar="ALERTS", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--quiet-alerts",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Alerts on the tape without faults: what is in it is no detection.",
)
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the evidence and reports there, as trading run does.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON, nothing else.")
def score(
    directory: Path, alerts: Path, quiet_alerts: Path | None, report: Path | None, as_json: bool
) -> None:
    """Judge the file ALERTS by the tape in DIR: lines of JSON as a program in lockstep writes them.

    An alert arrives at the time of the next line {"done": TIME}, or else at its own "time". The
    verdict is open loop: a request to stop trading could not act.

    \b
    Exit code: 0 Pass, 1 Fail, 3 Inconclusive, 5 Error, 2 wrong input.
    """
    from trading.embedded.reporting import write_report
    from trading.embedded.tape import TapeError
    from trading.embedded.tape import score as score_alerts
    from trading.report.terminal import make_console, print_verdict
    from trading.report.verdict_json import render_json

    try:
        result = score_alerts(directory, alerts, quiet_alerts)
        if report is not None:
            write_report(result, report)
    except TapeError as error:
        raise WrongInput(str(error)) from error
    except OSError as error:
        raise WrongInput(f"{error.filename}: {error.strerror}") from error
    if as_json:
        say_json(render_json(result.verdict))
    else:
        print_verdict(result.verdict, make_console())
    sys.exit(EXIT_CODES[result.verdict.outcome])
