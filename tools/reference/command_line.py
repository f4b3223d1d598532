"""Generate docs/reference/command-line.md from the help of the `trading` command."""

from collections.abc import Iterator
from pathlib import Path

import click

from tools.reference.markdown import FOLDER, block, code, plain, table
from trading.cli.__main__ import cli

_HEAD = """# Command line

This page is generated from the commands themselves: each block is what `--help` prints.
[Exit codes](exit-codes.md) has the exit codes of all commands.
"""


def commands(
    command: click.Command = cli, name: str = "trading", parent: click.Context | None = None
) -> Iterator[tuple[click.Context, click.Command]]:
    """Yield every command that is not hidden with its context, a group before its subcommands."""
    context = click.Context(
        command, info_name=name, parent=parent, terminal_width=88, **command.context_settings
    )
    yield context, command
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            subcommand = command.get_command(context, inner)
            if subcommand is not None and not subcommand.hidden:
                yield from commands(subcommand, inner, context)


def texts() -> dict[Path, str]:
    """Return the text of each page, by its path within the project."""
    every = list(commands())
    rows = (
        (f"[{code(c.command_path)}](#{anchor(c.command_path)})", plain(m.get_short_help_str(100)))
        for c, m in every
        if not isinstance(m, click.Group)
    )
    text = f"{_HEAD}\n{table(('command', 'what it does'), rows)}"
    for context, command in every:
        if not isinstance(command, click.Group) or context.parent is None:
            text += f"\n## {code(context.command_path)}\n\n{block(command.get_help(context))}"
    return {FOLDER / "command-line.md": text}


def anchor(title: str) -> str:
    """Return the anchor of a heading."""
    return title.lower().replace(" ", "-")
