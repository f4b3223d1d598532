"""The commands ``trading deploy|health|logs|cleanup``: the ecosystem on Compose or Kubernetes."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from trading.cli.output import say, say_json

if TYPE_CHECKING:
    from trading.deploy.state import Line, Platform

_F = TypeVar("_F", bound=Callable[..., Any])


class DeployFailed(click.ClickException):
    """Ends a command with exit code 1 and its message, without a traceback."""


def _target_options(command: _F) -> _F:
    """Add the options that select a deployment."""
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


_without_option = click.option(
    "--without", multiple=True, metavar="COMPONENT", help="Leave one out. Repeatable."
)


def _platform(env: str, on: str, directory: Path, values: tuple[Path, ...] = ()) -> "Platform":
    """Return the deployment of ``env`` on a platform that is ready for use.

    ``values`` are additional files of values for the chart. Raises DeploymentError, and
    click.BadParameter for ``values`` on Compose.
    """
    from trading.deploy.environments import COMPOSE, ENVIRONMENTS, project_directory
    from trading.deploy.on_compose import OnCompose
    from trading.deploy.on_kubernetes import OnKubernetes

    project = project_directory(directory.resolve())
    environment = ENVIRONMENTS[env]
    if values:
        if on == COMPOSE:
            raise click.BadParameter(
                "what a Compose file says is changed by variables, in .env", param_hint="--values"
            )
        extra_values = tuple(path.resolve() for path in values)
        environment = environment._replace(values=(*environment.values, *extra_values))
    platform = (OnCompose if on == COMPOSE else OnKubernetes)(environment, project)
    platform.check()
    return platform


def _report_deployment_errors(command: _F) -> _F:
    """Turn a DeploymentError of ``command`` into :class:`DeployFailed`."""
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
@_target_options
@_without_option
@click.option(
    "--values",
    multiple=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="More of the chart's values, on Kubernetes. Repeatable.",
)
@click.option("--timeout", type=click.IntRange(10), default=180, show_default=True)
@_report_deployment_errors
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
    _roll_out(env, on, directory, _excluded_components(without), values, timeout)


def _excluded_components(names: tuple[str, ...]) -> frozenset[str]:
    from trading.topology import INFRASTRUCTURE

    for name in names:
        if name not in INFRASTRUCTURE:
            choices = ", ".join(INFRASTRUCTURE)
            raise click.BadParameter(f"{name} is none of {choices}", param_hint="--without")
    return frozenset(names)


@_report_deployment_errors
def up_on_kind(without: tuple[str, ...]) -> None:
    """Bring the ecosystem up in a kind cluster, for ``trading up --on kind``.

    Creates the cluster if there is none, loads the images and installs the chart.
    """
    from trading.deploy.environments import project_directory
    from trading.deploy.kind import Kind

    left_out = _excluded_components(without)
    directory = project_directory(Path.cwd())
    Kind(directory, say).bring_up(left_out)
    _roll_out("dev", "kubernetes", directory, left_out, (), 300)


def _roll_out(
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
    say(_PRODUCTION_PAGES[on] if env == "prod" else _PAGES)


_PAGES = """ready
  risk dashboard     http://127.0.0.1:8084
  audit              http://127.0.0.1:8086
  Grafana            http://127.0.0.1:3000
  Prometheus         http://127.0.0.1:9090
  Jaeger             http://127.0.0.1:16686
next: trading scenario run market-crash"""
#: The only pages that a production deployment opens; it runs no scenarios.
_PRODUCTION_PAGES = {
    "compose": """ready
  risk dashboard     http://127.0.0.1:8084
  Grafana            http://127.0.0.1:3000
Others reach them through a proxy on this host that ends TLS and knows its users.""",
    "kubernetes": """ready
  risk dashboard     https://risk.<ingress.host>
  Grafana            https://grafana.<ingress.host>""",
}


@click.command()
@_target_options
@_without_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@_report_deployment_errors
def health(env: str, on: str, directory: Path, without: tuple[str, ...], as_json: bool) -> None:
    """How every component is, and what each service depends on.

    Exit code 0: all is well; 1: something is not.
    """
    from trading.deploy.rollout import title
    from trading.deploy.state import DONE, HEALTHY, MISSING
    from trading.topology import SERVICES

    left_out = _excluded_components(without)
    platform = _platform(env, on, directory)
    rows = []
    for state in platform.states():
        if state.status == DONE or state.component in left_out:
            continue
        failed_dependencies = {}
        if state.component in SERVICES and state.status != MISSING:
            dependencies = platform.dependencies(state.component)
            failed_dependencies = {
                name: problem for name, problem in dependencies.items() if problem
            }
        is_healthy = state.status == HEALTHY and not failed_dependencies
        rows.append((state, failed_dependencies, is_healthy))
    if as_json:
        documents = [
            {
                "component": state.component,
                "status": state.status,
                "problem": state.problem,
                "broken": failed_dependencies,
            }
            for state, failed_dependencies, _ in rows
        ]
        say_json(json.dumps(documents, indent=2))
    else:
        for state, failed_dependencies, is_healthy in rows:
            status = "degraded" if failed_dependencies and state.status == HEALTHY else state.status
            text = status + (f": {state.problem}" if state.problem else "")
            say(f"{'✅' if is_healthy else '❌'} {title(state.component)}: {text.capitalize()}")
            for name, problem in failed_dependencies.items():
                say(f"   ❌ {name}: {problem}")
    if not all(is_healthy for _, _, is_healthy in rows):
        sys.exit(1)


@click.command()
@_target_options
@click.option("--tail", type=click.IntRange(1, 100_000), default=50, show_default=True)
@click.option("--follow", "-f", is_flag=True, help="Stay, and show what is to come.")
@click.option("--raw", is_flag=True, help="As it was written, not made readable.")
@click.argument("components", nargs=-1)
@_report_deployment_errors
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
    """Format a log line; the services write JSON, all other components plain text."""
    head = f"{line.time[11:23]} {line.component:<17}"
    try:
        record = json.loads(line.text)
        level, message = record.pop("level"), record.pop("message")
    except (ValueError, KeyError, AttributeError):
        return f"{head} {line.text}"
    for field in ("time", "logger", "service", "request_id"):
        record.pop(field, None)
    extras = " ".join(f"{name}={value}" for name, value in record.items())
    # Indent the further lines of a traceback.
    return f"{head} {level:<7} {message} {extras}".rstrip().replace("\n", "\n    ")


@click.command()
@_target_options
@click.option("--volumes", is_flag=True, help="The data, too: journals, verdicts, secrets.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_report_deployment_errors
def cleanup(env: str, on: str, directory: Path, volumes: bool, yes: bool) -> None:
    """Take the ecosystem down. Data stays, unless --volumes says otherwise.

    Exit code 1: you have said no.
    """
    from trading.deploy.environments import ENVIRONMENTS, project_of

    platform = _platform(env, on, directory)
    name = f"{project_of(ENVIRONMENTS[env])} on {on}"
    data_notice = "and ALL its data" if volumes else "its data stays"
    if not yes and not click.confirm(f"Take {name} down, {data_notice}?"):
        raise DeployFailed("nothing was touched")
    platform.remove(volumes)
    say(f"{name} is down, {'with its data' if volumes else data_notice}")
