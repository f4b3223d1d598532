"""Returns the journal heads of runs, to compare them."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from trading.embedded.api import load_scenario, load_submitted
from trading.embedded.run import run_plan

Heads = dict[str, tuple[int, str]]


@cache
def embedded_heads(scenario: str, seed: int | None = None) -> Heads:
    """Return each journal's length and last hash in the embedded run of a shipped scenario."""
    journals = run_plan(load_scenario(scenario, seed=seed).plan, control=False).journals
    return {name: (journal.length, journal.head.hex()) for name, journal in journals.items()}


@cache
def heads_of_text(text: str) -> Heads:
    """Return the same as :func:`embedded_heads` for the text of a scenario."""
    plan = load_submitted(text).plan
    journals = run_plan(plan, control=False).journals
    return {name: (journal.length, journal.head.hex()) for name, journal in journals.items()}


def heads_of(verdict: Mapping[str, Any]) -> Heads:
    """Return each journal's length and last hash according to a verdict."""
    journals = verdict["audit"]["journals"]
    return {name: (head["events"], head["head"]) for name, head in journals.items()}
