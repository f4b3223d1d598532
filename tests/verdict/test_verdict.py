"""The rules of the verdict, each with a run that breaks it."""

from typing import Any

import msgspec

from trading.messages.audit import AuditReport, Discrepancy
from trading.messages.chaos import MarketShock, PathPoint
from trading.scenario.observation import Observation, SeenAlert, SeenBreaker, SeenFault
from trading.scenario.plan import Expectation, PlannedFault, RunPlan
from trading.scenario.result import FAIL, INCONCLUSIVE, PASS
from trading.scenario.verdict import judge
from trading.units import MINUTE, SECOND

CRASH = PlannedFault(
    "crash", 10 * MINUTE, 30 * MINUTE, MarketShock(("BTC",), (PathPoint(0, 850_000),))
)
PLAN = RunPlan(
    name="market-crash",
    faults=(CRASH,),
    expectations=(
        Expectation("alert", "drawdown", "crash", 60 * SECOND),
        Expectation("breaker", "HALTED", "crash", 2 * MINUTE),
        Expectation("noAlert", "settlement-overdue"),
    ),
)
T0 = 1000 * SECOND


def alert(rule: str, at: int, subject: str = "portfolio") -> SeenAlert:
    return SeenAlert(f"{rule}-{at}", rule, subject, "critical", "-2.1 %", "2 %", at, at)


def report(**changes: Any) -> AuditReport:
    made = AuditReport("test-coordinator", "r", True, 10, "ab", 1_000_000, (), (), 0, 1)
    return msgspec.structs.replace(made, **changes)


def good() -> Observation:
    """A run in which everything was as it should be."""
    return Observation(
        started_at=1,
        ended_at=T0 + 50 * MINUTE,
        phases=[("SteadyState", 1), ("Completed", T0)],
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
        breaker=[SeenBreaker("HALTED", "drawdown", T0 + 40 * SECOND)],
        monitor_silence=2 * SECOND,
        faults_ended_at=T0 + 30 * MINUTE,
        recovered_at=T0 + 31 * MINUTE,
        audit=report(),
    )


def test_a_good_run_passes_with_latencies_from_the_evidence() -> None:
    verdict = judge(PLAN, good())
    assert (verdict.outcome, verdict.reasons) == (PASS, ())
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
    seen = good()
    seen.faults[0].injected_at = 0
    verdict = judge(PLAN, seen)
    assert verdict.outcome == INCONCLUSIVE
    assert verdict.reasons[0] == "no evidence that crash was injected"


def test_the_services_word_is_no_evidence() -> None:
    seen = good()
    seen.faults[0] = SeenFault("crash", "marketShock", requested_at=T0, applied_at=T0 + 1)
    assert judge(PLAN, seen).outcome == INCONCLUSIVE


def test_no_steady_state_is_inconclusive_and_says_why() -> None:
    seen = good()
    seen.steady_at, seen.unsteady = 0, "exchange does not answer"
    verdict = judge(PLAN, seen)
    assert verdict.outcome == INCONCLUSIVE
    assert verdict.reasons == ("no steady state within 30m: exchange does not answer",)


def test_an_alert_before_the_injection_is_no_detection() -> None:
    seen = good()
    seen.alerts = [alert("drawdown", T0 - SECOND)]
    verdict = judge(PLAN, seen)
    assert verdict.outcome == FAIL
    assert "before the injection" in verdict.expectations[0].reason


def test_an_alert_that_also_fires_without_the_fault_is_no_detection() -> None:
    verdict = judge(PLAN, good(), also_without={("drawdown", "portfolio")})
    assert verdict.outcome == FAIL
    assert "also fires without the fault" in verdict.expectations[0].reason
    verdict = judge(PLAN, good(), also_without={("breaker", "HALTED")})
    assert "also trips without the fault" in verdict.expectations[1].reason


def test_detection_after_the_limit_fails_with_its_latency() -> None:
    seen = good()
    seen.alerts = [alert("drawdown", T0 + 63 * SECOND + 1)]
    verdict = judge(PLAN, seen)
    assert verdict.outcome == FAIL
    assert verdict.expectations[0].latency == 60 * SECOND + 1
    seen.alerts = [alert("drawdown", T0 + 63 * SECOND)]
    assert judge(PLAN, seen).outcome == PASS


def test_a_silent_monitor_fails_even_when_only_silence_is_expected() -> None:
    seen = good()
    seen.alerts, seen.breaker, seen.monitor_silence = [], [], 40 * MINUTE
    quiet = msgspec.structs.replace(PLAN, expectations=(Expectation("noAlert", "*"),))
    verdict = judge(quiet, seen)
    assert verdict.outcome == FAIL
    assert not verdict.expectations[0].met
    assert judge(PLAN, seen).outcome == FAIL
    seen.monitor_silence = 2 * SECOND
    assert judge(quiet, seen).outcome == PASS


def test_an_alert_that_must_not_come_fails() -> None:
    seen = good()
    seen.alerts.append(alert("settlement-overdue", T0 - MINUTE, "custodian"))
    assert judge(PLAN, seen).outcome == FAIL


def test_the_subject_narrows_an_alert() -> None:
    seen = good()
    expected = Expectation("alert", "drawdown", "crash", MINUTE, "BTC")
    verdict = judge(msgspec.structs.replace(PLAN, expectations=(expected,)), seen)
    assert verdict.outcome == FAIL


def test_a_tampered_or_truncated_journal_never_passes() -> None:
    for kind in ("CHAIN_BROKEN", "TRUNCATED"):
        seen = good()
        broken = Discrepancy(kind, "exchange", 10, 9, "entry 10")
        seen.audit = report(complete=False, discrepancies=(broken,))
        verdict = judge(PLAN, seen)
        assert verdict.outcome == INCONCLUSIVE
        assert any(kind in reason for reason in verdict.reasons)
    seen = good()
    seen.audit = None
    assert judge(PLAN, seen).outcome == INCONCLUSIVE


def test_books_that_do_not_reconcile_fail() -> None:
    seen = good()
    seen.audit = report(discrepancies=(Discrepancy("CASH", "firm-mm USDT", 5, 6, "custodian"),))
    verdict = judge(PLAN, seen)
    assert verdict.outcome == FAIL
    assert "CASH at firm-mm USDT" in verdict.reasons[-1]


def test_no_recovery_fails() -> None:
    seen = good()
    seen.recovered_at, seen.unrecovered = 0, "book of BTCUSDT is silent"
    verdict = judge(PLAN, seen)
    assert verdict.outcome == FAIL
    assert verdict.reasons == ("no recovery: book of BTCUSDT is silent",)


def test_a_fault_whose_lease_ran_out_is_inconclusive() -> None:
    seen = good()
    seen.faults[0].end_reason = "LEASE_EXPIRED"
    assert judge(PLAN, seen).outcome == INCONCLUSIVE


def test_promql_is_never_met_without_a_prometheus() -> None:
    expected = Expectation("promql", "up == 1", "crash", MINUTE)
    verdict = judge(msgspec.structs.replace(PLAN, expectations=(expected,)), good())
    assert verdict.outcome == FAIL
    assert "Prometheus" in verdict.expectations[0].reason
