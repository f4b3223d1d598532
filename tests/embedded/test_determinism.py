"""Equal seeds give equal journals, byte for byte: across processes, hash seeds, and replays."""

import os
import subprocess
import sys

import pytest

from trading.embedded.api import load_scenario
from trading.embedded.ecosystem import build, components
from trading.embedded.run import run_plan
from trading.messages import Delayed
from trading.runtime.journal import RECEIVED, Journal, MemoryJournal, kind_of
from trading.runtime.replay import decode_received, replay
from trading.runtime.routes import NOT_JOURNALED
from trading.topology import AUDIT_CORRELATOR
from trading.units import MINUTE

_HEADS = """
from trading.embedded.api import load_scenario
from trading.embedded.run import run_plan
result = run_plan(load_scenario("exchange-downtime").plan, control=False)
for name, journal in result.journals.items():
    print(name, journal.length, journal.head.hex())
"""


def heads(hash_seed: str) -> str:
    """Run a scenario in a process with this PYTHONHASHSEED; return the heads of its journals."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": "services"}
    process = subprocess.run(
        [sys.executable, "-c", _HEADS], env=environment, check=True, capture_output=True, text=True
    )
    return process.stdout


def test_journals_are_the_same_across_processes_and_hash_seeds() -> None:
    first = heads("0")
    assert first.count("\n") == 8
    assert heads("1") == first
    assert heads("4294967295") == first


@pytest.fixture(scope="module")
def journals() -> dict[str, Journal]:
    """Return the journals of a run of exchange-downtime."""
    result = run_plan(load_scenario("exchange-downtime").plan, control=False)
    return dict(result.journals)


SERVICES = [
    "market-data",
    "exchange",
    "custodian",
    "trading-engine",
    "risk-monitor",
    "test-coordinator",
]


@pytest.mark.parametrize("minutes", [1, 7, 13, 21])
def test_replay_of_any_prefix_gives_the_same_state(minutes: int) -> None:
    """A new component that replays a prefix of the journal has the state of the live one."""
    plan = load_scenario("exchange-downtime").plan
    live = components(plan)
    kernel, _ = build(plan, parts=live)
    kernel.run(plan.start + minutes * MINUTE)
    for component, replayed in zip(live, components(plan), strict=True):
        if component.name == AUDIT_CORRELATOR:
            continue
        replay(kernel.journals[component.name].after(0), replayed)
        assert replayed.state() == component.state(), component.name


@pytest.mark.parametrize("service", SERVICES)
def test_replay_gives_the_same_decisions(journals: dict[str, Journal], service: str) -> None:
    """The decisions of a component are a function of the messages that it received."""
    plan = load_scenario("exchange-downtime").plan
    component = next(c for c in components(plan) if c.name == service)
    copy = MemoryJournal(service)
    for entry in journals[service].after(0):
        if kind_of(entry.body) != RECEIVED:
            continue
        now, messages = decode_received(entry)
        copy.append(now, RECEIVED, messages)
        for message in messages:
            for answer in component.on(message, now):
                decided = answer.message if isinstance(answer, Delayed) else answer
                if type(decided) not in NOT_JOURNALED:
                    copy.append(now, type(decided).__name__, decided)
    assert (copy.length, copy.head) == (journals[service].length, journals[service].head)
