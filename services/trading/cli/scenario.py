"""The commands ``trading scenario list|show|validate|new``, and those of :mod:`.remote`."""

from pathlib import Path

import click

from trading.cli.output import say
from trading.cli.remote import abort, list_runs, run_remote, watch
from trading.cli.wrong_input import WrongInput, parse_sets, wrong_input
from trading.units import on_one_line


@click.group()
def scenario() -> None:
    """Look at the shipped scenarios, check your own, run them against a running ecosystem."""


@scenario.command("list")
def list_scenarios() -> None:
    """The shipped scenarios, with what each breaks."""
    from trading.embedded.api import load_scenario
    from trading.embedded.library import shipped

    with wrong_input():
        for name in shipped():
            plan = load_scenario(name).plan
            kinds = ", ".join(dict.fromkeys(f.kind for f in plan.faults))
            say(f"{name:<22} {kinds}\n{'':<22} {on_one_line(plan.description)}")


@scenario.command()
@click.argument("name")
def show(name: str) -> None:
    """Print the file of a shipped scenario."""
    say(_shipped_file(name).read_text(encoding="utf-8"), nl=False)


@scenario.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="As in trading run.")
def validate(files: tuple[str, ...], sets: tuple[str, ...]) -> None:
    """Check scenario FILES without running them; every mistake is reported."""
    from trading.embedded.api import load_scenario
    from trading.scenario.errors import ScenarioError

    overrides = parse_sets(sets)
    problems = []
    for file in files:
        try:
            plan = load_scenario(file, overrides=overrides).plan
        except ScenarioError as error:
            problems.append(str(error))
        else:
            faults, expectations = len(plan.faults), len(plan.expectations)
            say(f"{file}: valid, {faults} faults, {expectations} expectations")
    if problems:
        raise WrongInput("\n".join(problems))


@scenario.command()
@click.argument("name")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write it. Default: NAME.yaml here.",
)
def new(name: str, output: Path | None) -> None:
    """Write a commented scenario of your own to start from."""
    from trading.scenario.template import new_scenario

    with wrong_input():
        text = new_scenario(name)
    path = output or Path(f"{name}.yaml")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise WrongInput(f"{path} exists already; give another name or --output") from error
    except OSError as error:
        raise WrongInput(f"{path}: {error.strerror}") from error
    say(f"wrote {path}; run it with: trading run {path}")


def _shipped_file(name: str) -> Path:
    from difflib import get_close_matches

    from trading.embedded.library import shipped

    files = shipped()
    if name in files:
        return files[name]
    close = get_close_matches(name, files, n=1)
    hint = f", did you mean '{close[0]}'?" if close else f"; there are {', '.join(files)}"
    raise WrongInput(f"no shipped scenario '{name}'{hint}")


for _command in (run_remote, list_runs, watch, abort):
    scenario.add_command(_command)
