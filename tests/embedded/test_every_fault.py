"""Every kind and mode of fault is verified in the data plane, ends, and recovers."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from trading.embedded.api import load_scenario
from trading.embedded.run import run_plan
from trading.scenario import faults as model

FAULTS: list[dict[str, Any]] = [
    {"marketShock": {"symbols": ["BTC"], "change": "-10%", "over": "1m"}},
    {"marketShock": {"change": "8%", "rebound": "1m", "volatility": 3}},
    {"depeg": {"asset": "USDT", "to": 0.95, "over": "1m"}},
    {"depeg": {"asset": "USDC", "to": 0.95, "over": "1m", "scope": "venue"}},
    {"exchangeOutage": {"mode": "partition"}},
    {"exchangeOutage": {"mode": "reset"}},
    {"exchangeOutage": {"mode": "unavailable"}},
    {"exchangeOutage": {"mode": "unknown"}},
    {"exchangeOutage": {"mode": "slow", "delay": "10s"}},
    {"exchangeOutage": {"mode": "partial-ack", "probability": "50%"}},
    {"exchangeOutage": {"mode": "liquidity", "factor": 20}},
    {"exchangeOutage": {"mode": "halt", "symbols": ["BTC"]}},
    {"settlementFailure": {"mode": "delay", "delay": "3m"}},
    {"settlementFailure": {"mode": "fail"}},
    {"settlementFailure": {"mode": "partial", "fraction": "50%"}},
    {"settlementFailure": {"mode": "stuck"}},
    {"strategyMalfunction": {"strategy": "momentum", "mode": "runaway-repeat", "rate": 30}},
    {"strategyMalfunction": {"strategy": "momentum", "mode": "wrong-side"}},
    {"strategyMalfunction": {"strategy": "market-making", "mode": "stale-quotes"}},
    {"strategyMalfunction": {"strategy": "market-making", "mode": "fat-finger", "factor": 50}},
    {"strategyMalfunction": {"strategy": "momentum", "mode": "self-trading"}},
    {"strategyMalfunction": {"strategy": "momentum", "mode": "position-growth"}},
    {"feedDisruption": {"mode": "latency", "delay": "10s"}},
    {"feedDisruption": {"mode": "spike", "magnitude": "20%"}},
    {"feedDisruption": {"mode": "nan"}},
    {"feedDisruption": {"mode": "negative"}},
    {"feedDisruption": {"mode": "stale"}},
    {"feedDisruption": {"mode": "out-of-order"}},
    {"feedDisruption": {"mode": "gap"}},
    {"feedDisruption": {"mode": "silence", "assets": ["ETH"]}},
    {"networkPartition": {"between": [["risk-monitor", "exchange"]]}},
    {
        "networkPartition": {
            "between": [["trading-engine", "exchange"], ["risk-monitor", "custodian"]]
        }
    },
]


#: Modes whose effect is within the default limits: three fills on the wrong side, quotes 0.3 % off.
UNNOTICED = {"wrong-side", "stale-quotes"}


def name(fault: dict[str, Any]) -> str:
    """Return the id of the test of a fault."""
    ((kind, fields),) = fault.items()
    return f"{kind}-{fields.get('mode') or fields.get('scope') or len(fields)}"


#: A market move that makes strategies trade: in a quiet market their malfunction has no effect.
MOVE = {
    "name": "move",
    "at": "70s",
    "duration": "7m",
    "marketShock": {"change": "-3%", "over": "5m"},
}

NEEDS_A_MOVE = {"wrong-side", "stale-quotes"}


def scenario(fault: dict[str, Any], *more: dict[str, Any]) -> dict[str, Any]:
    """Return a scenario with the fault and ``more`` faults."""
    return {
        "apiVersion": "chaos.trading/v1alpha1",
        "kind": "ChaosScenario",
        "metadata": {"name": "fault"},
        "spec": {
            "description": "One fault",
            "seed": 4,
            "settlement": {"cycle": "2m"},
            "steadyState": {"for": "5m", "within": "30m"},
            "faults": [{"name": "f", "at": "1m", "duration": "8m", **fault}, *more],
            "expect": [{"noAlert": "wash-trades"}],
            "recovery": {"within": "20m"},
        },
    }


@pytest.mark.parametrize("fault", FAULTS, ids=name)
def test_fault_is_verified_and_noticed_and_ends(fault: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "fault.yaml"
    mode = next(iter(fault.values())).get("mode")
    more = [MOVE] if mode in NEEDS_A_MOVE else []
    file.write_text(yaml.safe_dump(scenario(fault, *more)), encoding="utf-8")
    result = run_plan(load_scenario(file).plan, control=False)
    verdict = result.verdict
    outcome = verdict.faults[0]
    assert outcome.applied_at and outcome.injected_at and outcome.evidence, verdict.reasons
    assert outcome.end_reason == "RECOVERED" and outcome.recovered_at >= outcome.ended_at
    assert verdict.recovery.recovered, verdict.reasons
    assert verdict.audit.complete and verdict.audit.discrepancies == ()
    assert verdict.outcome == ("Fail" if mode == "self-trading" else "Pass"), verdict.reasons
    fired = {
        alert.rule for alert in result.record.alerts if alert.detected_at >= outcome.applied_at
    }
    assert bool(fired) is (mode not in UNNOTICED)


def test_every_mode_of_every_kind_is_here() -> None:
    covered = {(kind, f.get("mode")) for fault in FAULTS for kind, f in fault.items()}
    kinds = {
        "exchangeOutage": model.ExchangeOutage,
        "settlementFailure": model.SettlementFailure,
        "strategyMalfunction": model.StrategyMalfunction,
        "feedDisruption": model.FeedDisruption,
    }
    for kind, fields in kinds.items():
        for mode in fields.model_fields["mode"].annotation.__args__:  # type: ignore
            assert (kind, mode) in covered
    assert {kind for kind, _ in covered} - set(kinds) == {
        "marketShock",
        "depeg",
        "networkPartition",
    }
