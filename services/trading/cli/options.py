"""Options of every command that takes a scenario."""

import click

seed_option = click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), help="Seed instead of the file's."
)
sets_option = click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one field of spec, e.g. faults.crash.marketShock.change=-20%. Repeatable.",
)
