"""Prints text and JSON with control characters escaped.

Much of what the command line prints comes from files and services, and a terminal must not execute
escape sequences in it.
"""

import json

import click

from trading.units import printable


def say(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a text with its control characters escaped; to standard error if ``err`` is set."""
    click.echo(printable(str(text)), err=err, nl=nl)


def say_json(text: str) -> None:
    """Print JSON with its control characters as JSON escapes, so that it remains valid JSON."""
    safe = (c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
    click.echo("".join(safe))
