"""Reports wrong input on the command line: every problem, exit code 2, and no traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from trading.cli.output import say


class WrongInput(click.ClickException):
    """Ends the command with its message and exit code 2."""

    exit_code = 2

    def show(self, file: object = None) -> None:
        """Print the message to standard error."""
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
    """Return the values of ``--set``: ``("seed=9",)`` becomes ``{"seed": "9"}``.

    Raises WrongInput.
    """
    overrides: dict[str, str] = {}
    for pair in pairs:
        path, equals, value = pair.partition("=")
        if not equals or not path.strip():
            raise WrongInput(f"--set {pair}: expected KEY=VALUE, e.g. --set seed=9")
        overrides[path.strip()] = value.strip()
    return overrides
