"""Every shipped scenario passes as it is, fails without its main control, and has no alerts without
its faults.
"""

import msgspec
import pytest

from trading.embedded.api import load_scenario
from trading.embedded.library import shipped
from trading.embedded.run import run_plan, run_without_faults
from trading.scenario.result import Outcome
from trading.units import HOUR, format_duration

#: The control that is expected to detect the faults, by scenario.
MAIN_CONTROL = {
    "market-crash": "drawdown",
    "stablecoin-depeg": "peg-deviation",
    "exchange-downtime": "venue-down",
    "settlement-failure": "settlement-overdue",
    "strategy-malfunction": "runaway-orders",
    "feed-disruption": "stale-feed",
    "black-thursday-2020": "drawdown",
    "usdc-depeg-2023": "peg-deviation",
    "knight-2012": "runaway-orders",
    "october-2025": "peg-deviation",
}

SEEDS = range(10)

#: A run without faults is checked for alerts over this time.
QUIET = 2 * HOUR


def test_every_shipped_scenario_is_in_this_table() -> None:
    assert set(shipped()) == set(MAIN_CONTROL)


@pytest.mark.parametrize("name", MAIN_CONTROL)
def test_passes_with_the_default_rules(name: str) -> None:
    verdict = run_plan(load_scenario(name).plan).verdict
    assert (verdict.outcome, verdict.reasons) == (Outcome.PASS, ())
    for expected in verdict.expectations:
        if expected.kind != "noAlert":
            assert 0 <= expected.latency <= expected.within, expected.label
    assert verdict.audit.coverage_ppm == 1_000_000


@pytest.mark.parametrize("name", MAIN_CONTROL)
def test_fails_when_its_control_is_switched_off(name: str) -> None:
    rule = MAIN_CONTROL[name]
    plan = load_scenario(name, overrides={"controls.disable": f"[{rule}]"}).plan
    verdict = run_plan(plan, control=False).verdict
    assert verdict.outcome == Outcome.FAIL
    missed = [e for e in verdict.expectations if e.name == rule and not e.met]
    assert missed and all("switched off" in e.reason for e in missed)


@pytest.mark.parametrize("name", MAIN_CONTROL)
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_fires_without_the_faults(name: str, seed: int) -> None:
    plan = load_scenario(name, seed=seed).plan
    needed = max(f.at + f.duration for f in plan.faults) + plan.steady_for
    until = plan.start + min(needed, QUIET)
    alerts, breaker = run_without_faults(plan, until)
    messages = [
        f"{a.rule} on {a.subject} after {format_duration(a.detected_time - plan.start)}: "
        f"{a.observed}, limit {a.limit}"
        for a in alerts
    ]
    assert messages == []
    assert [c.state for c in breaker] == []


def test_another_seed_is_another_market_with_the_same_verdict() -> None:
    plan = load_scenario("market-crash").plan
    first = run_plan(plan, control=False)
    second = run_plan(msgspec.structs.replace(plan, seed=plan.seed + 1), control=False)
    assert first.verdict.outcome == second.verdict.outcome == Outcome.PASS
    assert first.record.prices != second.record.prices
