"""The commands ``trading scenario run|runs|watch|abort``, which use a running ecosystem."""

import sys
from itertools import chain
from pathlib import Path
from typing import Any

import click

from trading.cli.coordinator import Coordinator
from trading.cli.login import data_option
from trading.cli.options import seed_option
from trading.cli.output import say
from trading.cli.run import EXIT_CODES
from trading.cli.wrong_input import WrongInput, parse_sets

DEFAULT_URL = "http://127.0.0.1:8085"


def coordinator_options(command: Any) -> Any:
    """Add the options ``--target`` and ``--data`` to a command."""
    command = click.option(
        "--target",
        envvar="COORDINATOR_URL",
        default=DEFAULT_URL,
        show_default=True,
        metavar="URL",
        help="The test coordinator.",
    )(command)
    return data_option(command)


#: Waiting events in a row, one for each second, after which a notice is printed.
_WAITING_NOTICE_AFTER = 3


@click.command("run")
@click.argument("scenario")
@seed_option
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="As in trading run.")
@click.option("--detach", is_flag=True, help="Begin the run, print its id, do not wait.")
@click.option(
    "--on",
    "on",
    type=click.Choice(["coordinator", "kubernetes"]),
    default="coordinator",
    show_default=True,
    help="Ask the test coordinator, or apply a ChaosScenario to kubectl's cluster.",
)
@click.option(
    "--env",
    "env",
    type=click.Choice(["dev", "test"]),
    default="dev",
    show_default=True,
    help="On Kubernetes: whose namespace.",
)
@coordinator_options
def run_remote(
    scenario: str,
    seed: int | None,
    sets: tuple[str, ...],
    detach: bool,
    on: str,
    env: str,
    target: str,
    data: Path,
) -> None:
    """Run SCENARIO (a file, or a name) against a running ecosystem and wait for the verdict.

    The ecosystem opens a new session with the scenario's prices, balances and seed, and goes
    through it as fast as it can. To watch: --set clock.speed=60, at most that many simulated
    seconds per wall second. For what lives in real time, such as a bot: --set clock.mode=wall.

    \b
    Exit code: 0 Pass, 1 Fail, 3 Inconclusive, 4 Aborted, 5 Error, 2 wrong input.
    """
    if on == "kubernetes":
        from trading.cli.resource import run_resource

        sys.exit(run_resource(scenario, seed, parse_sets(sets), env, detach=detach))
    coordinator = Coordinator(target, data)
    body: dict[str, Any] = {"overrides": parse_sets(sets)}
    if seed is not None:
        body["seed"] = seed
    if not detach and _can_cut_networks(target):
        body["network"] = "platform"
    path = Path(scenario)
    if path.suffix or path.exists():
        run = _begin_with_files(coordinator, path, body)
    else:
        run = coordinator.post("/runs", {**body, "scenario": scenario})
    say(f"run {run['id']}")
    if not detach:
        sys.exit(_follow_or_fail(coordinator, run["id"]))


def _begin_with_files(coordinator: Coordinator, path: Path, body: dict[str, Any]) -> Any:
    """Begin a run of the scenario file at ``path``, with the recorded prices that it names."""
    from trading.cli.uploads import uploaded_files

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongInput(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    with uploaded_files(coordinator, path, text, body["overrides"]) as files:
        return coordinator.post("/runs", {**body, "text": text, "files": files})


@click.command("runs")
@coordinator_options
def list_runs(target: str, data: Path) -> None:
    """The runs of a running ecosystem, newest first, and what was changed for each."""
    from trading.report.origin import changes

    for run in Coordinator(target, data).get("/runs"):
        outcome = run["outcome"] or run["phase"]
        changed = f"  changed: {changes(run['overrides'])}" if run.get("overrides") else ""
        say(f"{run['id']:<36} {outcome:<14} {run['opened']}{changed}")


@click.command()
@click.argument("run_id")
@coordinator_options
def watch(run_id: str, target: str, data: Path) -> None:
    """Follow a run to its verdict; exit codes as of run."""
    sys.exit(_follow_or_fail(Coordinator(target, data), run_id))


@click.command()
@click.argument("run_id")
@click.option("--reason", default="asked for on the command line", help="Goes into the verdict.")
@coordinator_options
def abort(run_id: str, reason: str, target: str, data: Path) -> None:
    """Take every fault of a run back at once."""
    coordinator = Coordinator(target, data)
    coordinator.post(f"/runs/{run_id}/abort", {"reason": reason})
    say(f"run {run_id} takes its faults back; its recovery: trading scenario watch {run_id}")


def _can_cut_networks(target: str) -> bool:
    """Return whether this machine can inject network faults for the coordinator at ``target``.

    It can if the coordinator belongs to a Compose deployment here, whose networks follow() cuts.
    """
    from trading.deploy.network_faults import deployment_here

    return deployment_here(target, Path.cwd()) is not None


def _follow_or_fail(coordinator: Coordinator, run_id: str) -> int:
    from trading.deploy.environments import DeploymentError

    try:
        return follow(coordinator, run_id)
    except DeploymentError as error:
        raise WrongInput(f"a network that was cut is not connected again: {error}") from error


def follow(coordinator: Coordinator, run_id: str) -> int:
    """Print a run's events, then its verdict, and return the exit code.

    If the run has network faults for this machine, they are applied as their events arrive. Raises
    WrongInput if the run ends without a verdict.
    """
    import msgspec

    from trading.deploy.network_faults import NetworkFaults
    from trading.messages.risk import Severity
    from trading.report.terminal import LiveProgress, make_console, print_verdict
    from trading.scenario.result import Verdict

    console = make_console()
    events = coordinator.events(run_id)
    verdict: Verdict | None = None
    partitions = coordinator.get(f"/runs/{run_id}").get("partitions", {})
    first_event = next(events, None)
    if first_event is not None:
        with (
            NetworkFaults(coordinator.url, partitions, Path.cwd()) as network,
            LiveProgress(console, start=first_event[1].get("at", 0)) as progress,
        ):
            waiting_count = 0
            for kind, event in chain([first_event], events):
                waiting_count = waiting_count + 1 if kind == "waiting" else 0
                if kind == "waiting":
                    if waiting_count == _WAITING_NOTICE_AFTER:
                        names = ", ".join(event["for"]) or "its evidence"
                        progress.event(event["at"], f"time waits for {names}", Severity.WARNING)
                    continue
                if change := network.see(event):
                    progress.event(event["at"], f"network {change}", "fault")
                if kind == "verdict":
                    verdict = msgspec.convert(event, Verdict)
                elif kind == "pnl":
                    progress.tick(event["at"], event["pnl"], event["firing"])
                elif kind == "phase":
                    progress.phase(event["text"], event["at"])
                else:
                    progress.event(event["at"], f"{kind} {event['text']}", event["severity"])
    if verdict is None:
        raise WrongInput(f"run {run_id} ended without a verdict: another session was opened")
    print_verdict(verdict, console)
    return EXIT_CODES[verdict.outcome]
