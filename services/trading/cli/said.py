"""How the command line says something: as text, whatever somebody has written into it."""

import json

import click

from trading.units import printable


def say(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a text. What a terminal would obey in it is shown instead."""
    click.echo(printable(str(text)), err=err, nl=nl)


def say_json(text: str) -> None:
    """Print JSON: it stays JSON, and a terminal obeys nothing of it."""
    safe = (c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
    click.echo("".join(safe))
