"""Generate docs/reference/exit-codes.md from the command line and its help texts."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click

import trading_operator.reaper
import trading_operator.uninstall
from tools.reference.command_line import commands
from tools.reference.markdown import FOLDER, code, plain, table
from trading.cli.run import EXIT_CODES
from trading.cli.wrong_input import WrongInput
from trading.scenario.result import Outcome
from trading.server import probe

_MEANING = {
    Outcome.PASS: "The verdict is Pass, or the command did what it was asked to do.",
    Outcome.FAIL: "The verdict is Fail; of other commands: what was checked does not hold.",
    Outcome.INCONCLUSIVE: "The verdict is Inconclusive: the run proves nothing, and"
    " `reasons` says why.",
    Outcome.ABORTED: "The run was aborted.",
    Outcome.ERROR: "The run ended in Error, or the command itself failed; the traceback"
    " is printed.",
}
#: The meaning of the codes that are not outcomes of a run.
_OTHERS = {
    WrongInput.exit_code: "Wrong input: an option, a scenario or a setting is wrong, a file cannot"
    " be read, or a service or store does not answer.",
    130: "Interrupted with Ctrl-C.",
    141: "The reader of the output went away.",
}
_PROGRAMS = (probe, trading_operator.reaper, trading_operator.uninstall)
_SENTENCE = re.compile(r"Exit codes?:? (.*)", re.DOTALL)


def texts() -> dict[Path, str]:
    """Return the text of each page, by its path within the project."""
    meant = {number: (str(o), _MEANING[o]) for o, number in EXIT_CODES.items()}
    meant |= {number: ("", text) for number, text in _OTHERS.items()}
    rows = ((code(n), name, plain(text)) for n, (name, text) in sorted(meant.items()))
    own = ((code(path), plain(text)) for path, text in stated())
    return {
        FOLDER / "exit-codes.md": (
            "# Exit codes\n\n"
            "This page is generated from `trading.cli`. `trading run`, `trading scenario run` and\n"
            "`trading scenario watch` end with the outcome of the run.\n\n"
            + table(("code", "outcome", "meaning"), rows)
            + "\n## What the commands say of their own codes\n\n"
            + "Each line is from the help of the command. The codes above hold for all others.\n\n"
            + table(("command", "exit codes"), own)
            + "\n## Programs inside the containers\n\n"
            + table(("program", "exit codes"), (_program(module) for module in _PROGRAMS))
        )
    }


def _program(module: ModuleType) -> tuple[str, str]:
    """Return the name of a program, and the sentence on exit codes from its docstring."""
    text = " ".join((module.__doc__ or "").split())
    return code(f"python -m {module.__name__}"), plain(_SENTENCE.search(text)[1].rstrip("."))  # type: ignore[index]


def stated() -> Iterator[tuple[str, str]]:
    """Yield the path of each command whose help describes exit codes, and that description."""
    for context, command in commands():
        if isinstance(command, click.Group):
            continue
        match = _SENTENCE.search(inspect.cleandoc(command.help or "").replace("\b", ""))
        if match is not None:
            yield context.command_path, match[1].split("\n\n")[0].rstrip(".")
