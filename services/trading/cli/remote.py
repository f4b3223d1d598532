"""``trading scenario run|runs|watch|abort``: against a running ecosystem."""

import json
import os
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import click

from trading.cli.run import EXIT_CODES
from trading.cli.said import say
from trading.cli.wrong_input import WrongInput, parse_sets

DEFAULT_URL = "http://127.0.0.1:8085"


class Coordinator:
    """A test coordinator's API. Raises WrongInput with what it says."""

    def __init__(self, url: str, data: Path) -> None:
        import httpx

        headers = {}
        if token := os.environ.get("CHAOS_TOKEN") or _kept_token(data):
            headers["Authorization"] = f"Bearer {token}"
        self.url = url
        self._client = httpx.Client(base_url=url, headers=headers, timeout=30)

    def get(self, path: str) -> Any:
        return self._ask("GET", path)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._ask("POST", path, body)

    def events(self, run_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """``(kind, data)`` of every event up to the verdict; a lost connection is taken up
        again where it broke.
        """
        import time

        import httpx

        last, failures = "0", 0
        while True:
            try:
                headers = {"Last-Event-ID": last}
                path = f"/runs/{run_id}/events"
                with self._client.stream("GET", path, headers=headers, timeout=60) as answer:
                    if answer.status_code != 200:
                        raise WrongInput(f"no run {run_id} at {self.url}")
                    for event, kind, data in _parse(answer.iter_lines()):
                        failures = 0
                        last = event or last
                        yield kind, json.loads(data)
                        if kind == "verdict":
                            return
            except httpx.HTTPError as error:
                failures += 1
                if failures > 30:
                    raise WrongInput(f"{self.url}: connection lost: {error}") from error
            time.sleep(1)

    def _deployed(self) -> str:
        """The token of a Compose deployment here, where nobody has named another."""
        from trading.deploy.token import chaos_token

        return "" if "Authorization" in self._client.headers else chaos_token(Path.cwd())

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        import httpx

        try:
            answer = self._client.request(method, path, json=body)
            if answer.status_code == 401 and (token := self._deployed()):
                self._client.headers["Authorization"] = f"Bearer {token}"
                answer = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise WrongInput(
                f"no test coordinator at {self.url} ({error}); start one with: trading up"
            ) from error
        if answer.is_success:
            return answer.json()
        try:
            detail = answer.json()["detail"]
        except (ValueError, KeyError):
            detail = answer.text[:200]
        if answer.status_code == 401:
            detail = f"{detail}; set CHAOS_TOKEN, or --data to where trading up keeps its data"
        raise WrongInput(detail if isinstance(detail, str) else json.dumps(detail))


def coordinator_options(command: Any) -> Any:
    """``--target`` and ``--data``."""
    command = click.option(
        "--target",
        envvar="COORDINATOR_URL",
        default=DEFAULT_URL,
        show_default=True,
        metavar="URL",
        help="The test coordinator.",
    )(command)
    return click.option(
        "--data",
        envvar="DATA_DIR",
        type=click.Path(path_type=Path),
        default=Path(".trading"),
        metavar="DIR",
        help="Where trading up keeps its credentials. Default: .trading here.",
    )(command)


#: Seconds after which it is told that time stands still.
_TELL_WAITING = 3


@click.command("run")
@click.argument("scenario")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Seed instead of the file's.")
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
    path = Path(scenario)
    if path.suffix or path.exists():
        try:
            body["text"] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise WrongInput(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    else:
        body["scenario"] = scenario
    if seed is not None:
        body["seed"] = seed
    if not detach and _plays_networks(target):
        body["network"] = "platform"
    run = coordinator.post("/runs", body)
    say(f"run {run['id']}")
    if not detach:
        sys.exit(_followed(coordinator, run["id"]))


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
    sys.exit(_followed(Coordinator(target, data), run_id))


@click.command()
@click.argument("run_id")
@click.option("--reason", default="asked for on the command line", help="Goes into the verdict.")
@coordinator_options
def abort(run_id: str, reason: str, target: str, data: Path) -> None:
    """Take every fault of a run back at once."""
    coordinator = Coordinator(target, data)
    coordinator.post(f"/runs/{run_id}/abort", {"reason": reason})
    say(f"run {run_id} takes its faults back; its recovery: trading scenario watch {run_id}")


def _plays_networks(target: str) -> bool:
    """Is the coordinator that of a Compose deployment here, whose networks follow() can cut?"""
    from trading.deploy.network_faults import deployment_here

    return deployment_here(target, Path.cwd()) is not None


def _followed(coordinator: Coordinator, run_id: str) -> int:
    from trading.deploy.environments import DeploymentError

    try:
        return follow(coordinator, run_id)
    except DeploymentError as error:
        raise WrongInput(f"a network that was cut is not connected again: {error}") from error


def follow(coordinator: Coordinator, run_id: str) -> int:
    """Print a run's events, then its verdict; the exit code."""
    import msgspec

    from trading.deploy.network_faults import NetworkFaults
    from trading.report.terminal import LiveProgress, make_console, print_verdict
    from trading.scenario.result import Verdict

    console = make_console()
    events = coordinator.events(run_id)
    verdict: Verdict | None = None
    partitions = coordinator.get(f"/runs/{run_id}").get("partitions", {})
    first = next(events, None)
    if first is not None:
        with (
            NetworkFaults(coordinator.url, partitions, Path.cwd()) as network,
            LiveProgress(console, start=first[1].get("at", 0)) as progress,
        ):
            waited = 0
            for kind, found in chain([first], events):
                waited = waited + 1 if kind == "waiting" else 0
                if kind == "waiting":
                    if waited == _TELL_WAITING:
                        names = ", ".join(found["for"]) or "its evidence"
                        progress.event(found["at"], f"time waits for {names}", "warning")
                    continue
                if done := network.see(found):
                    progress.event(found["at"], f"network {done}", "fault")
                if kind == "verdict":
                    verdict = msgspec.convert(found, Verdict)
                elif kind == "pnl":
                    progress.tick(found["at"], found["pnl"], found["firing"])
                elif kind == "phase":
                    progress.phase(found["text"], found["at"])
                else:
                    progress.event(found["at"], f"{kind} {found['text']}", found["severity"])
    if verdict is None:
        raise WrongInput(f"run {run_id} ended without a verdict: another session was opened")
    print_verdict(verdict, console)
    return EXIT_CODES[verdict.outcome]


def _parse(lines: Iterator[str]) -> Iterator[tuple[str, str, str]]:
    """``(id, event, data)`` of a stream of server-sent events."""
    event, kind, data = "", "message", ""
    for line in lines:
        if not line:
            if data:
                yield event, kind, data
            event, kind, data = "", "message", ""
            continue
        name, _, value = line.partition(": ")
        if name == "id":
            event = value
        elif name == "event":
            kind = value
        elif name == "data":
            data += value


def _kept_token(data: Path) -> str:
    from trading.server.credentials import read_credentials

    return str(read_credentials(data).get("chaos_token", ""))
