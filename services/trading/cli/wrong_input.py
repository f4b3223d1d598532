"""How the command line says that its input is wrong: every problem, exit code 2, no traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from trading.cli.said import say


class WrongInput(click.ClickException):
    """Ends the command with exit code 2."""

    exit_code = 2

    def show(self, file: object = None) -> None:
        say(self.message, err=True)


@contextmanager
def wrong_input() -> Iterator[None]:
    """Turn a ScenarioError into :class:`WrongInput`."""
    from trading.scenario.errors import ScenarioError

    try:
        yield
    except ScenarioError as error:
        count = len(error.problems)
        noun = "problem" if count == 1 else "problems"
        raise WrongInput(f"{error}\n{count} {noun}, nothing was run") from error


def parse_sets(pairs: tuple[str, ...]) -> dict[str, str]:
    """``("seed=9",)`` -> ``{"seed": "9"}``."""
    overrides: dict[str, str] = {}
    for pair in pairs:
        path, equals, value = pair.partition("=")
        if not equals or not path.strip():
            raise WrongInput(f"--set {pair}: expected KEY=VALUE, e.g. --set seed=9")
        overrides[path.strip()] = value.strip()
    return overrides
