"""The command ``trading run``: runs one scenario in this process and prints its verdict."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from trading.cli.keys import read_private_key
from trading.cli.options import seed_option, sets_option
from trading.cli.output import say, say_json
from trading.cli.wrong_input import WrongInput, parse_sets, wrong_input
from trading.scenario.result import Outcome

#: Exit codes by outcome; 2 is wrong input.
EXIT_CODES = {
    Outcome.PASS: 0,
    Outcome.FAIL: 1,
    Outcome.INCONCLUSIVE: 3,
    Outcome.ABORTED: 4,
    Outcome.ERROR: 5,
}


@click.command()
@click.argument("scenario", metavar="FILE")
@seed_option
@sets_option
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write plan.json, verdict.json, junit.xml, report.html and the journals there.",
)
@click.option(
    "--sign",
    type=click.Path(path_type=Path),
    metavar="KEY",
    help="Sign the report's evidence with a private key, from trading keys new. Needs --report.",
)
@click.option(
    "--monitor",
    "monitors",
    multiple=True,
    metavar="[NAME=]WHAT",
    help="Judge your own monitor: exec:COMMAND, a program, or module:Class in Python. Repeatable.",
)
@click.option(
    "--monitor-timeout",
    type=click.FloatRange(0.001, 3600),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Wall seconds that a program has for each step; after that the run is Inconclusive.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON, nothing else.")
@click.option("--quiet", is_flag=True, help="No progress, only the verdict.")
@click.option(
    "--control/--no-control",
    default=True,
    help="Run the market once more without the faults: what fires there is no detection.",
)
def run(
    scenario: str,
    seed: int | None,
    sets: tuple[str, ...],
    report: Path | None,
    sign: Path | None,
    monitors: tuple[str, ...],
    monitor_timeout: float,
    as_json: bool,
    quiet: bool,
    control: bool,
) -> None:
    """Run the scenario FILE (or the name of a shipped one) in virtual time.

    As fast as it can: the scenario's clock is for a running ecosystem.

    \b
    Exit code: 0 Pass, 1 Fail, 3 Inconclusive, 4 Aborted, 5 Error, 2 wrong input.
    """

    from trading.embedded.monitored import load_with_monitors
    from trading.embedded.run import run_plan
    from trading.monitors import MonitorError
    from trading.monitors.sources import parse_sources
    from trading.report.origin import label
    from trading.report.terminal import LiveProgress, make_console, print_heading, print_verdict
    from trading.report.verdict_json import render_json

    if sign is not None and report is None:
        raise WrongInput("--sign needs --report DIR: the signature is kept with the evidence")
    key = read_private_key(sign) if sign is not None else None
    with wrong_input(), _wrong_monitors():
        sources = parse_sources(monitors, monitor_timeout)
        plan = load_with_monitors(scenario, sources, seed=seed, overrides=parse_sets(sets)).plan
    if report is not None:
        _ensure_directory(report)
    console = make_console()
    factories = {source.name: source.create for source in sources}
    try:
        if quiet or as_json:
            result = run_plan(plan, control=control, monitors=factories)
        else:
            print_heading(plan.name, plan.seed, label(plan.description, plan.overrides), console)
            with LiveProgress(console, start=plan.start) as progress:
                result = run_plan(plan, control=control, progress=progress, monitors=factories)
    except MonitorError as error:
        raise WrongInput(f"--monitor: {error}") from error
    if report is not None:
        from trading.embedded.reporting import write_report

        # Before anything is printed: whoever reads the output may close it early, as head does.
        write_report(result, report, key)
    if as_json:
        say_json(render_json(result.verdict))
    else:
        print_verdict(result.verdict, console)
        if report is not None:
            say(f"report: {report / 'report.html'}")
    sys.exit(EXIT_CODES[result.verdict.outcome])


@contextmanager
def _wrong_monitors() -> Iterator[None]:
    """Turn WrongMonitors into WrongInput."""
    from trading.monitors.sources import WrongMonitors

    try:
        yield
    except WrongMonitors as error:
        raise WrongInput(f"--monitor: {error}") from error


def _ensure_directory(directory: Path) -> None:
    """Create the report's directory, so that an unusable one fails before the run, not after.

    Raises WrongInput.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongInput(f"--report {directory}: {error.strerror}") from error
