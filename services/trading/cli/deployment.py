"""``trading deploy|health|logs|cleanup``: the whole ecosystem on Compose or Kubernetes."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from trading.cli.said import say, say_json

if TYPE_CHECKING:
    from trading.deploy.state import Line, Platform

_F = TypeVar("_F", bound=Callable[..., Any])


class DeployFailed(click.ClickException):
    """Exit code 1: said in words, without a traceback."""


def _where(command: _F) -> _F:
    """The options that say which deployment is meant."""
    for option in (
        click.option(
            "--directory",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            default=".",
            help="A checkout of the project. Default: where you are.",
        ),
        click.option(
            "--on",
            "on",
            type=click.Choice(["compose", "kubernetes"]),
            default="compose",
            show_default=True,
        ),
        click.option(
            "--env",
            "env",
            type=click.Choice(["dev", "test", "prod"]),
            default="dev",
            show_default=True,
        ),
    ):
        command = option(command)
    return command


_without = click.option(
    "--without", multiple=True, metavar="COMPONENT", help="Leave one out. Repeatable."
)


def _platform(env: str, on: str, directory: Path, values: tuple[Path, ...] = ()) -> "Platform":
    from trading.deploy.environments import COMPOSE, ENVIRONMENTS, project_directory
    from trading.deploy.on_compose import OnCompose
    from trading.deploy.on_kubernetes import OnKubernetes

    found = project_directory(directory.resolve())
    environment = ENVIRONMENTS[env]
    if values:
        if on == COMPOSE:
            raise click.BadParameter(
                "what a Compose file says is changed by variables, in .env", param_hint="--values"
            )
        own = tuple(path.resolve() for path in values)
        environment = environment._replace(values=(*environment.values, *own))
    platform = (OnCompose if on == COMPOSE else OnKubernetes)(environment, found)
    platform.check()
    return platform


def _told(command: _F) -> _F:
    """A DeploymentError ends a command with its text and exit code 1."""
    from functools import wraps

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        from trading.deploy.environments import DeploymentError

        try:
            return command(*args, **kwargs)
        except DeploymentError as error:
            raise DeployFailed(str(error)) from error

    return wrapped  # type: ignore[return-value]


@click.command()
@_where
@_without
@click.option(
    "--values",
    multiple=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="More of the chart's values, on Kubernetes. Repeatable.",
)
@click.option("--timeout", type=click.IntRange(10), default=180, show_default=True)
@_told
def deploy(
    env: str,
    on: str,
    directory: Path,
    without: tuple[str, ...],
    values: tuple[Path, ...],
    timeout: int,
) -> None:
    """Bring the ecosystem up, or up to date, and wait until all of it is healthy.

    \b
    trading deploy                                development, on Docker Compose
    trading deploy --without grafana              where its image cannot be had
    trading deploy --env test --on kubernetes     in kubectl's current cluster

    Exit code 1: something is not healthy; its last lines of log say why.
    """
    _deployed(env, on, directory, _left_out(without), values, timeout)


def _left_out(names: tuple[str, ...]) -> frozenset[str]:
    from trading.topology import INFRASTRUCTURE

    for name in names:
        if name not in INFRASTRUCTURE:
            known = ", ".join(INFRASTRUCTURE)
            raise click.BadParameter(f"{name} is none of {known}", param_hint="--without")
    return frozenset(names)


@_told
def up_on_kind(without: tuple[str, ...]) -> None:
    """``trading up --on kind``: cluster, images, chart, ready."""
    from trading.deploy.environments import project_directory
    from trading.deploy.kind import Kind

    left_out = _left_out(without)
    directory = project_directory(Path.cwd())
    Kind(directory, say).bring_up(left_out)
    _deployed("dev", "kubernetes", directory, left_out, (), 300)


def _deployed(
    env: str,
    on: str,
    directory: Path,
    left_out: frozenset[str],
    values: tuple[Path, ...],
    timeout: int,
) -> None:
    from trading.deploy.rollout import roll_out

    platform = _platform(env, on, directory, values)
    platform.prepare(left_out, say)
    say(f"deploying {env} on {on}")
    roll_out(platform, left_out, timeout, say)
    say(_PAGES_OF_PRODUCTION[on] if env == "prod" else _PAGES)


_PAGES = """ready
  risk dashboard     http://127.0.0.1:8084
  audit              http://127.0.0.1:8086
  Grafana            http://127.0.0.1:3000
  Prometheus         http://127.0.0.1:9090
  Jaeger             http://127.0.0.1:16686
next: trading scenario run market-crash"""
#: Production opens these alone, and runs no scenario.
_PAGES_OF_PRODUCTION = {
    "compose": """ready
  risk dashboard     http://127.0.0.1:8084
  Grafana            http://127.0.0.1:3000
Others reach them through a proxy on this host that ends TLS and knows its users.""",
    "kubernetes": """ready
  risk dashboard     https://risk.<ingress.host>
  Grafana            https://grafana.<ingress.host>""",
}


@click.command()
@_where
@_without
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@_told
def health(env: str, on: str, directory: Path, without: tuple[str, ...], as_json: bool) -> None:
    """How every component is, and what each service depends on.

    Exit code 0: all is well; 1: something is not.
    """
    from trading.deploy.rollout import title
    from trading.deploy.state import DONE, HEALTHY, MISSING
    from trading.topology import SERVICES

    left_out = _left_out(without)
    platform = _platform(env, on, directory)
    rows = []
    for state in platform.states():
        if state.status == DONE or state.component in left_out:
            continue
        broken = {}
        if state.component in SERVICES and state.status != MISSING:
            found = platform.dependencies(state.component)
            broken = {name: why for name, why in found.items() if why}
        good = state.status == HEALTHY and not broken
        rows.append((state, broken, good))
    if as_json:
        made = [
            {
                "component": state.component,
                "status": state.status,
                "problem": state.problem,
                "broken": broken,
            }
            for state, broken, _ in rows
        ]
        say_json(json.dumps(made, indent=2))
    else:
        for state, broken, good in rows:
            status = "degraded" if broken and state.status == HEALTHY else state.status
            said = status + (f": {state.problem}" if state.problem else "")
            say(f"{'✅' if good else '❌'} {title(state.component)}: {said.capitalize()}")
            for name, why in broken.items():
                say(f"   ❌ {name}: {why}")
    if not all(good for _, _, good in rows):
        sys.exit(1)


@click.command()
@_where
@click.option("--tail", type=click.IntRange(1, 100_000), default=50, show_default=True)
@click.option("--follow", "-f", is_flag=True, help="Stay, and show what is to come.")
@click.option("--raw", is_flag=True, help="As it was written, not made readable.")
@click.argument("components", nargs=-1)
@_told
def logs(
    env: str,
    on: str,
    directory: Path,
    tail: int,
    follow: bool,
    raw: bool,
    components: tuple[str, ...],
) -> None:
    """What the components say, in the order of time; of COMPONENTS, or of all.

    \b
    trading logs -f risk-monitor exchange
    """
    platform = _platform(env, on, directory)
    for line in platform.logs(components, tail, follow):
        say(f"{line.component} {line.text}" if raw else _readable(line))


def _readable(line: "Line") -> str:
    """The services write JSON; all others what they like."""
    head = f"{line.time[11:23]} {line.component:<17}"
    try:
        said = json.loads(line.text)
        level, message = said.pop("level"), said.pop("message")
    except (ValueError, KeyError, AttributeError):
        return f"{head} {line.text}"
    for known in ("time", "logger", "service", "request_id"):
        said.pop(known, None)
    more = " ".join(f"{name}={value}" for name, value in said.items())
    # Of a traceback, every line.
    return f"{head} {level:<7} {message} {more}".rstrip().replace("\n", "\n    ")


@click.command()
@_where
@click.option("--volumes", is_flag=True, help="The data, too: journals, verdicts, secrets.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_told
def cleanup(env: str, on: str, directory: Path, volumes: bool, yes: bool) -> None:
    """Take the ecosystem down. Data stays, unless --volumes says otherwise.

    Exit code 1: you have said no.
    """
    from trading.deploy.environments import ENVIRONMENTS, project_of

    platform = _platform(env, on, directory)
    name = f"{project_of(ENVIRONMENTS[env])} on {on}"
    what = "and ALL its data" if volumes else "its data stays"
    if not yes and not click.confirm(f"Take {name} down, {what}?"):
        raise DeployFailed("nothing was touched")
    platform.remove(volumes)
    say(f"{name} is down, {'with its data' if volumes else what}")
