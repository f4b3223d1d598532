"""Scenarios, verdicts and observations for tests of the operator."""

from typing import Any

from trading.scenario.result import (
    AuditOutcome,
    ExpectationOutcome,
    FaultOutcome,
    Outcome,
    Phase,
    PhaseStart,
    RecoveryOutcome,
    Verdict,
)
from trading.units import SECOND
from trading_operator.resource import Scenario

RELEASE = {"app.kubernetes.io/name": "trading", "app.kubernetes.io/instance": "trading"}
NAMESPACE = "chaos"
PAIRS = [["risk-monitor", "exchange"], ["risk-monitor", "custodian"]]


def sample_scenario(*, deleted: bool = False, pairs: Any = PAIRS, **spec: Any) -> Scenario:
    """Return a scenario with one partition, "cut". ``spec`` overrides fields of its spec."""
    faults = [{"name": "cut", "at": "1m", "duration": "1m", "networkPartition": {"between": pairs}}]
    return Scenario(
        name="dark",
        namespace=NAMESPACE,
        uid="0a1b2c3d-0000-0000-0000-000000000001",
        generation=1,
        spec={"seed": 3, "faults": faults, "expect": [], **spec},
        deleted=deleted,
    )


def verdict(outcome: Outcome = Outcome.PASS) -> Verdict:
    """Return a verdict of that scenario."""
    return Verdict(
        scenario="dark",
        description="",
        seed=3,
        outcome=outcome,
        reasons=() if outcome is Outcome.PASS else ("because",),
        started_at=100 * SECOND,
        ended_at=900 * SECOND,
        phases=(PhaseStart(Phase.COMPLETED, 900 * SECOND),),
        faults=(
            FaultOutcome(
                name="cut",
                kind="networkPartition",
                requested_at=160 * SECOND,
                injected_at=161 * SECOND,
                evidence="fresh and held connection fail",
                ended_at=220 * SECOND,
                recovered_at=222 * SECOND,
            ),
        ),
        expectations=(
            ExpectationOutcome(
                label="venue-down",
                kind="alert",
                name="venue-down",
                of="cut",
                within=15 * SECOND,
                met=outcome is Outcome.PASS,
                latency=4 * SECOND,
            ),
        ),
        recovery=RecoveryOutcome(recovered=True, within=300 * SECOND, took=2 * SECOND),
        audit=AuditOutcome(complete=True, events=1000, root="ab", coverage_ppm=1_000_000),
        conditions=(),
    )
