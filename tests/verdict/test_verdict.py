"""Tests the rules of the verdict, each with an observation that breaks it."""

from typing import Any

import msgspec
import pytest

from trading.messages.audit import AuditReport, Discrepancy, DiscrepancyKind
from trading.messages.chaos import MarketShock, NetworkPartition, PathPoint, ProbeResult
from trading.messages.risk import BreakerState, Severity
from trading.scenario.observation import Observation, SeenAlert, SeenBreaker, SeenFault
from trading.scenario.plan import ClockMode, Expectation, PlannedFault, RunPlan
from trading.scenario.result import Outcome, Phase
from trading.scenario.verdict import judge
from trading.test_coordinator.evidence import watcher
from trading.test_coordinator.view import DataPlaneView
from trading.topology import SERVICES
from trading.units import MINUTE, SECOND

CRASH = PlannedFault(
    "crash", 10 * MINUTE, 30 * MINUTE, MarketShock(("BTC",), (PathPoint(0, 850_000),))
)
PLAN = RunPlan(
    name="market-crash",
    faults=(CRASH,),
    expectations=(
        Expectation("alert", "drawdown", "crash", 60 * SECOND),
        Expectation("breaker", BreakerState.HALTED, "crash", 2 * MINUTE),
        Expectation("noAlert", "settlement-overdue"),
    ),
)
T0 = 1000 * SECOND


def alert(rule: str, at: int, subject: str = "portfolio") -> SeenAlert:
    return SeenAlert(f"{rule}-{at}", rule, subject, Severity.CRITICAL, "-2.1 %", "2 %", at, at)


def report(**changes: Any) -> AuditReport:
    whole = AuditReport("test-coordinator", "r", True, 10, "ab", 1_000_000, (), (), 0, 1)
    return msgspec.structs.replace(whole, **changes)


def good() -> Observation:
    """Return the observation of a run in which everything went as expected."""
    return Observation(
        started_at=1,
        ended_at=T0 + 50 * MINUTE,
        phases=[(Phase.STEADY_STATE, 1), (Phase.COMPLETED, T0)],
        steady_at=T0 - 600 * SECOND,
        faults=[
            SeenFault(
                "crash",
                "marketShock",
                requested_at=T0,
                applied_at=T0 + 1,
                injected_at=T0 + 3 * SECOND,
                evidence="BTC moved -1 %",
                ended_at=T0 + 30 * MINUTE,
                end_reason="RECOVERED",
                recovered_at=T0 + 31 * MINUTE,
            )
        ],
        alerts=[alert("drawdown", T0 + 20 * SECOND)],
        breaker=[SeenBreaker(BreakerState.HALTED, "drawdown", T0 + 40 * SECOND)],
        monitor_silence=2 * SECOND,
        faults_ended_at=T0 + 30 * MINUTE,
        recovered_at=T0 + 31 * MINUTE,
        audit=report(),
    )


def test_a_good_run_passes_with_latencies_from_the_evidence() -> None:
    verdict = judge(PLAN, good())
    assert (verdict.outcome, verdict.reasons) == (Outcome.PASS, ())
    assert [e.latency for e in verdict.expectations] == [17 * SECOND, 37 * SECOND, -1]
    assert verdict.recovery.took == MINUTE
    assert {c.type: c.status for c in verdict.conditions} == {
        "SteadyState": "True",
        "FaultVerified": "True",
        "Detected": "True",
        "Recovered": "True",
        "AuditVerified": "True",
        "Complete": "True",
    }


def test_no_injection_evidence_is_inconclusive() -> None:
    observation = good()
    observation.faults[0].injected_at = 0
    verdict = judge(PLAN, observation)
    assert verdict.outcome == Outcome.INCONCLUSIVE
    assert verdict.reasons[0] == "no evidence that crash was injected"


def test_the_services_word_is_no_evidence() -> None:
    observation = good()
    observation.faults[0] = SeenFault("crash", "marketShock", requested_at=T0, applied_at=T0 + 1)
    assert judge(PLAN, observation).outcome == Outcome.INCONCLUSIVE


def test_no_steady_state_is_inconclusive_and_says_why() -> None:
    observation = good()
    observation.steady_at, observation.unsteady = 0, "exchange does not answer"
    verdict = judge(PLAN, observation)
    assert verdict.outcome == Outcome.INCONCLUSIVE
    assert verdict.reasons == ("no steady state within 30m: exchange does not answer",)


def test_an_alert_before_the_injection_is_no_detection() -> None:
    observation = good()
    observation.alerts = [alert("drawdown", T0 - SECOND)]
    verdict = judge(PLAN, observation)
    assert verdict.outcome == Outcome.FAIL
    assert "before the injection" in verdict.expectations[0].reason


def test_an_alert_that_also_fires_without_the_fault_is_no_detection() -> None:
    verdict = judge(PLAN, good(), also_without={("drawdown", "portfolio")})
    assert verdict.outcome == Outcome.FAIL
    assert "also fires without the fault" in verdict.expectations[0].reason
    verdict = judge(PLAN, good(), also_without={("breaker", BreakerState.HALTED)})
    assert "also trips without the fault" in verdict.expectations[1].reason


def test_detection_after_the_limit_fails_with_its_latency() -> None:
    observation = good()
    observation.alerts = [alert("drawdown", T0 + 63 * SECOND + 1)]
    verdict = judge(PLAN, observation)
    assert verdict.outcome == Outcome.FAIL
    assert verdict.expectations[0].latency == 60 * SECOND + 1
    observation.alerts = [alert("drawdown", T0 + 63 * SECOND)]
    assert judge(PLAN, observation).outcome == Outcome.PASS


def test_a_silent_monitor_fails_even_when_only_silence_is_expected() -> None:
    observation = good()
    observation.alerts, observation.breaker, observation.monitor_silence = [], [], 40 * MINUTE
    quiet = msgspec.structs.replace(PLAN, expectations=(Expectation("noAlert", "*"),))
    verdict = judge(quiet, observation)
    assert verdict.outcome == Outcome.FAIL
    assert not verdict.expectations[0].met
    assert judge(PLAN, observation).outcome == Outcome.FAIL
    observation.monitor_silence = 2 * SECOND
    assert judge(quiet, observation).outcome == Outcome.PASS


def test_an_alert_that_must_not_come_fails() -> None:
    observation = good()
    observation.alerts.append(alert("settlement-overdue", T0 - MINUTE, "custodian"))
    assert judge(PLAN, observation).outcome == Outcome.FAIL


def test_the_subject_narrows_an_alert() -> None:
    observation = good()
    expected = Expectation("alert", "drawdown", "crash", MINUTE, "BTC")
    verdict = judge(msgspec.structs.replace(PLAN, expectations=(expected,)), observation)
    assert verdict.outcome == Outcome.FAIL


def test_a_tampered_or_truncated_journal_never_passes() -> None:
    for kind in (DiscrepancyKind.CHAIN_BROKEN, DiscrepancyKind.TRUNCATED):
        observation = good()
        broken = Discrepancy(kind, "exchange", 10, 9, "entry 10")
        observation.audit = report(complete=False, discrepancies=(broken,))
        verdict = judge(PLAN, observation)
        assert verdict.outcome == Outcome.INCONCLUSIVE
        assert any(kind in reason for reason in verdict.reasons)
    observation = good()
    observation.audit = None
    assert judge(PLAN, observation).outcome == Outcome.INCONCLUSIVE


def test_books_that_do_not_reconcile_fail() -> None:
    observation = good()
    observation.audit = report(
        discrepancies=(Discrepancy(DiscrepancyKind.CASH, "firm-mm USDT", 5, 6, "custodian"),)
    )
    verdict = judge(PLAN, observation)
    assert verdict.outcome == Outcome.FAIL
    assert "CASH at firm-mm USDT" in verdict.reasons[-1]


def test_no_recovery_fails() -> None:
    observation = good()
    observation.recovered_at, observation.unrecovered = 0, "book of BTCUSDT is silent"
    verdict = judge(PLAN, observation)
    assert verdict.outcome == Outcome.FAIL
    assert verdict.reasons == ("no recovery: book of BTCUSDT is silent",)


def test_a_fault_whose_lease_ran_out_is_inconclusive() -> None:
    observation = good()
    observation.faults[0].end_reason = "LEASE_EXPIRED"
    assert judge(PLAN, observation).outcome == Outcome.INCONCLUSIVE


def test_promql_is_never_met_without_a_prometheus() -> None:
    expected = Expectation("promql", "up == 1", "crash", MINUTE)
    verdict = judge(msgspec.structs.replace(PLAN, expectations=(expected,)), good())
    assert verdict.outcome == Outcome.FAIL
    assert "Prometheus" in verdict.expectations[0].reason


CUT = PlannedFault(
    "cut", 10 * MINUTE, 30 * MINUTE, NetworkPartition((("risk-monitor", "exchange"),))
)


def separated(cut_for: int, recovered_after: int | None, **changes: Any) -> Observation:
    """Return the good run with a partition that the platform injected.

    New connections still failed ``cut_for`` microseconds after the end of the partition, and the
    recovery came ``recovered_after`` microseconds after it, or never.
    """
    ended = T0 + 30 * MINUTE
    observation = good()
    (fault,) = observation.faults
    fault.name, fault.kind, fault.cut_until = "cut", "networkPartition", ended + cut_for
    observation.platform_cuts = True
    observation.recovered_at = 0 if recovered_after is None else ended + recovered_after
    observation.unrecovered = "cut: risk-monitor does not reach exchange"
    return msgspec.structs.replace(observation, **changes)


def judged_as(observation: Observation, **plan: Any) -> tuple[str, str]:
    changed = msgspec.structs.replace(
        PLAN,
        faults=(CUT,),
        expectations=tuple(
            msgspec.structs.replace(e, of="cut" if e.of else "") for e in PLAN.expectations
        ),
        recovery_within=10 * MINUTE,
        **plan,
    )
    verdict = judge(changed, observation)
    return verdict.outcome, "; ".join(verdict.reasons)


@pytest.mark.parametrize("recovered_after", [None, 25 * MINUTE], ids=["never", "late"])
def test_no_recovery_while_the_platform_still_separates_proves_nothing(
    recovered_after: int | None,
) -> None:
    outcome, why = judged_as(separated(20 * MINUTE, recovered_after))
    assert outcome == Outcome.INCONCLUSIVE
    assert why == (
        "the platform did not connect again what cut had separated: 20m after its end no connection"
        " could be made"
    )


def test_no_recovery_after_the_platform_has_connected_them_fails() -> None:
    """The services did not reconnect, although they could, or something else did not recover."""
    for observation in (
        separated(SECOND, None),
        separated(SECOND, 25 * MINUTE),
        separated(20 * MINUTE, None, platform_cuts=False),
    ):
        outcome, why = judged_as(observation)
        assert outcome == Outcome.FAIL and why.startswith("no recovery: ")


def test_a_platform_that_was_late_without_consequences_passes() -> None:
    assert judged_as(separated(8 * MINUTE, 9 * MINUTE)) == (Outcome.PASS, "")


def test_what_a_platform_may_take_is_wall_time() -> None:
    wall = {"clock_mode": ClockMode.WALL, "speed": 60.0}
    assert judged_as(separated(4 * MINUTE, None), **wall)[0] == Outcome.FAIL
    assert judged_as(separated(6 * MINUTE, None), **wall)[0] == Outcome.INCONCLUSIVE
    assert judged_as(separated(4 * MINUTE, None))[0] == Outcome.INCONCLUSIVE


def test_an_alert_because_the_platform_still_separates_is_no_failure_of_silence() -> None:
    fired = [*good().alerts, alert("settlement-overdue", T0 + 35 * MINUTE)]
    outcome, why = judged_as(separated(8 * MINUTE, 9 * MINUTE, alerts=fired))
    assert outcome == Outcome.INCONCLUSIVE and why.startswith("the platform did not connect")
    before = [*good().alerts, alert("settlement-overdue", T0 + 20 * MINUTE)]
    assert judged_as(separated(8 * MINUTE, 9 * MINUTE, alerts=before))[0] == Outcome.FAIL


def test_only_a_fresh_connection_that_fails_is_the_platform_s() -> None:
    """A connection that was open before and is not made again is the service's failure."""
    partition_watcher = watcher(CUT, DataPlaneView(PLAN.universe, tuple(SERVICES), SECOND), T0)
    pair = ("risk-monitor", "exchange")
    partition_watcher.on(ProbeResult(*pair, 1, False, False, T0 + 1), T0 + 1)
    partition_watcher.on(ProbeResult(*pair, 2, True, False, T0 + 2), T0 + 2)
    assert partition_watcher.cut_until == T0 + 1 and "does not reach" in partition_watcher.problem(
        T0 + 2
    )
