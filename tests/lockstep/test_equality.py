"""The journals are those of the embedded run, however packets are delayed and processes killed."""

import asyncio

import pytest

from tests.lockstep.ecosystem import Ecosystem, Heads
from trading.embedded.api import load_submitted
from trading.embedded.run import run_plan
from trading.scenario.plan import RunPlan
from trading.topology import SERVICES

SCENARIO = """\
apiVersion: chaos.trading/v1alpha1
kind: ChaosScenario
metadata: {name: dark-and-cut}
spec:
  description: The venue is dark, then the monitor is cut off from the custodian
  seed: 4
  steadyState: {for: 20s, within: 5m}
  faults:
    - {name: dark, at: 10s, duration: 40s, exchangeOutage: {mode: partition}}
    - name: cut
      at: 70s
      duration: 30s
      networkPartition: {between: [[risk-monitor, custodian]]}
  expect:
    - {alert: venue-down, subject: exchange, of: dark, within: 20s}
  recovery: {within: 5m}
"""


@pytest.fixture(scope="module")
def plan() -> RunPlan:
    """Return the compiled scenario."""
    return load_submitted(SCENARIO).plan


@pytest.fixture(scope="module")
def embedded(plan: RunPlan) -> Heads:
    """Return the journal heads of the embedded run."""
    journals = run_plan(plan, control=False).journals
    return {name: (journals[name].length, journals[name].head.hex()) for name in SERVICES}


@pytest.mark.parametrize("seed", range(3))
def test_delays_change_nothing(plan: RunPlan, embedded: Heads, seed: int) -> None:
    assert asyncio.run(Ecosystem(plan, seed).run()) == embedded


@pytest.mark.parametrize("seed", range(12))
def test_deaths_change_nothing(plan: RunPlan, embedded: Heads, seed: int) -> None:
    assert asyncio.run(Ecosystem(plan, seed, kills=8).run()) == embedded
