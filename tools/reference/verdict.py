"""Generate docs/reference/verdict.md, the conditions of each outcome. Every line is the result of a
call of the real `judge`.
"""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace

from tools.reference.markdown import FOLDER, code, plain, table
from trading.messages.audit import AuditReport, Discrepancy, DiscrepancyKind
from trading.messages.chaos import FaultEnd, MarketShock, NetworkPartition, PathPoint
from trading.messages.risk import BreakerState, Severity
from trading.scenario.observation import Observation, SeenAlert, SeenBreaker, SeenFault
from trading.scenario.plan import Expectation, PlannedFault, RunPlan
from trading.scenario.platform import GRACE
from trading.scenario.result import Outcome, Verdict
from trading.scenario.verdict import MONITOR_SILENCE, Signal, judge
from trading.topology import RISK_MONITOR
from trading.units import MINUTE, SECOND, format_duration

_START = 1000 * SECOND
_DRAWDOWN = Expectation("alert", "drawdown", "crash", MINUTE)
PLAN = RunPlan(
    name="market-crash",
    faults=(
        PlannedFault("crash", 0, 30 * MINUTE, MarketShock(("BTC",), (PathPoint(0, 850_000),))),
    ),
    expectations=(
        _DRAWDOWN,
        Expectation("breaker", BreakerState.HALTED, "crash", 2 * MINUTE),
        Expectation("noAlert", "settlement-overdue"),
    ),
)
_CUT = replace(
    PLAN,
    faults=(PlannedFault("cut", 0, MINUTE, NetworkPartition((("risk-monitor", "exchange"),))),),
    expectations=(
        Expectation("alert", "venue-down", "cut", MINUTE),
        Expectation("noAlert", "stale-feed"),
    ),
)
#: Judges a monitor of the user's, alone, and beside the built-in one.
_DESK = replace(
    PLAN,
    monitors=("desk",),
    expectations=(
        replace(_DRAWDOWN, monitor="desk"),
        Expectation("noAlert", "settlement-overdue", monitor="desk"),
    ),
)
_BOTH = replace(
    PLAN,
    monitors=(RISK_MONITOR, "desk"),
    expectations=(_DRAWDOWN, replace(_DRAWDOWN, monitor="desk")),
)
_LABELLED = replace(
    _DESK, expectations=(replace(_DRAWDOWN, monitor="desk", labels={"team": "risk"}),)
)


class Case(NamedTuple):
    """A line of the page. `change` makes the difference to a run in which everything was as it
    should be; `also_without` has the signals that also fire in the control run.
    """

    group: str
    what: str
    change: Callable[[Observation], object]
    plan: RunPlan = PLAN
    also_without: Collection[Signal] = ()


def _alert(rule: str, at: int, subject: str = "portfolio") -> SeenAlert:
    return SeenAlert(f"{rule}-{at}", rule, subject, Severity.CRITICAL, "2.1 %", "2 %", at, at)


def _desk(**changes: Any) -> Callable[[Observation], None]:
    """Return a change to a run in which the monitor `desk` raises the alert, too."""

    def change(observation: Observation) -> None:
        alert = _alert("drawdown", _START + 30 * SECOND)
        alert.monitor = "desk"
        observation.alerts.append(alert)
        _set(**changes)(observation)

    return change


def _report(**changes: Any) -> AuditReport:
    report = AuditReport("test-coordinator", "r", True, 10, "ab", 1_000_000, (), (), 0, 1)
    return replace(report, **changes)


def good() -> Observation:
    """Return the observation of a run in which everything was as it should be."""
    return Observation(
        started_at=1,
        ended_at=_START + 50 * MINUTE,
        steady_at=_START - 10 * MINUTE,
        faults=[
            SeenFault(
                "crash",
                "marketShock",
                requested_at=_START,
                applied_at=_START + 1,
                injected_at=_START + 3 * SECOND,
                evidence="BTC moved -1 %",
                ended_at=_START + 30 * MINUTE,
                end_reason=FaultEnd.RECOVERED,
                recovered_at=_START + 31 * MINUTE,
            )
        ],
        alerts=[_alert("drawdown", _START + 20 * SECOND)],
        breaker=[SeenBreaker(BreakerState.HALTED, "drawdown", _START + 40 * SECOND)],
        monitor_silence=2 * SECOND,
        faults_ended_at=_START + 30 * MINUTE,
        recovered_at=_START + 31 * MINUTE,
        audit=_report(),
    )


def _partitioned(late: int, *, recovered: bool, noise: bool = False) -> Callable[..., None]:
    """Return a change to a run in which the platform's network made the partition, and removed it
    `late` microseconds after the fault's end.
    """

    def change(observation: Observation) -> None:
        ended = _START + MINUTE
        (fault,) = observation.faults
        fault.name, fault.kind, fault.ended_at = "cut", "networkPartition", ended
        fault.cut_until = ended + late
        observation.platform_cuts = True
        observation.alerts = [_alert("venue-down", _START + 10 * SECOND, "exchange")]
        if noise:
            observation.alerts.append(_alert("stale-feed", ended + 20 * SECOND, "BTC"))
        observation.faults_ended_at = ended
        observation.recovered_at = ended + late + SECOND if recovered else 0
        observation.unrecovered = "" if recovered else "risk-monitor cannot reach exchange"

    return change


def _set(**values: Any) -> Callable[[Observation], None]:
    def change(observation: Observation) -> None:
        for name, value in values.items():
            setattr(observation, name, value)

    return change


def _fault(**values: Any) -> Callable[[Observation], None]:
    def change(observation: Observation) -> None:
        for name, value in values.items():
            setattr(observation.faults[0], name, value)

    return change


def _finding(kind: DiscrepancyKind, where: str, detail: str, *, complete: bool = True) -> Any:
    discrepancy = Discrepancy(kind, where, 0, 1, detail)
    return _set(audit=_report(complete=complete, discrepancies=(discrepancy,)))


_PASS, _FAIL, _INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE
_OTHER = f"{Outcome.ABORTED} and {Outcome.ERROR}"

CASES: tuple[Case, ...] = (
    Case(_PASS, "every condition below holds", lambda observation: None),
    Case(
        _PASS,
        "the platform ended a partition late, but everything recovered in time",
        _partitioned(30 * SECOND, recovered=True),
        _CUT,
    ),
    Case(_PASS, "a monitor of yours raised the expected alert", _desk(), _DESK),
    Case(
        _PASS,
        "the built-in monitor gave no sign, but only yours is judged",
        _desk(monitor_silence=5 * MINUTE),
        _DESK,
    ),
    Case(_PASS, "each of several monitors raised the expected alert", _desk(), _BOTH),
    Case(_FAIL, "an expected alert never came", _set(alerts=[])),
    Case(
        _FAIL,
        "an expected alert came after its limit",
        _set(alerts=[_alert("drawdown", _START + 90 * SECOND)]),
    ),
    Case(
        _FAIL,
        "the expected alert fired before the fault was applied, and not again",
        _set(alerts=[_alert("drawdown", _START - 30 * SECOND)]),
    ),
    Case(
        _FAIL,
        "the alert also fires in the control run, which has no faults",
        lambda observation: None,
        also_without={("drawdown", "portfolio")},
    ),
    Case(
        _FAIL,
        "the breaker also trips in the control run",
        lambda observation: None,
        also_without={("breaker", BreakerState.HALTED)},
    ),
    Case(
        _FAIL,
        "the rule of an expected alert is disabled in the scenario",
        _set(alerts=[]),
        replace(PLAN, disabled_rules=("drawdown",)),
    ),
    Case(_FAIL, "an expected breaker state was not reached", _set(breaker=[])),
    Case(
        _FAIL,
        "an alert fired that `noAlert` forbids",
        lambda observation: observation.alerts.append(_alert("settlement-overdue", _START, "USDT")),
    ),
    Case(
        _FAIL,
        "an expectation is a `promql` query",
        lambda observation: None,
        replace(PLAN, expectations=(Expectation("promql", "up == 0", "crash", MINUTE),)),
    ),
    Case(
        _FAIL,
        f"the risk monitor gave no sign for more than {format_duration(MONITOR_SILENCE)}"
        " (or 20 ticks of the market, if that is longer)",
        _set(monitor_silence=5 * MINUTE),
    ),
    Case(
        _FAIL,
        "not everything was right again after the last fault",
        _set(recovered_at=0, unrecovered="feed of BTC is stale"),
    ),
    Case(
        _FAIL,
        "the recovery took longer than `recovery.within`",
        _set(recovered_at=_START + 61 * MINUTE),
    ),
    Case(
        _FAIL,
        "the books do not reconcile",
        _finding(
            DiscrepancyKind.CASH, "firm-api", "the exchange has more USDT than the trades explain"
        ),
    ),
    Case(
        _FAIL,
        "your monitor says nothing; the alert of the built-in one does not count for it",
        lambda observation: None,
        _DESK,
    ),
    Case(_FAIL, "one of several monitors missed it", lambda observation: None, _BOTH),
    Case(
        _FAIL,
        "the alert of your monitor also fires in the control run",
        _desk(),
        _DESK,
        also_without={("desk: drawdown", "portfolio")},
    ),
    Case(_FAIL, "the alert of your monitor has other labels than expected", _desk(), _LABELLED),
    Case(
        _INCONCLUSIVE,
        "your monitor broke: it ended, raised an error, gave a wrong answer, or took too long",
        _set(monitor_failures={"desk": "ended with exit code 1"}),
        _DESK,
    ),
    Case(
        _INCONCLUSIVE,
        "your monitor broke in the control run",
        _desk(monitor_failures={"desk": "ended with exit code 1 (in the control run)"}),
        _DESK,
    ),
    Case(
        _INCONCLUSIVE,
        "no steady state before the faults",
        _set(steady_at=0, unsteady="exchange does not answer"),
    ),
    Case(
        _INCONCLUSIVE,
        "a fault was never seen in the data plane",
        _fault(injected_at=0),
    ),
    Case(
        _INCONCLUSIVE,
        "a service refused a fault",
        _fault(injected_at=0, end_reason=f"{FaultEnd.REFUSED}_UNKNOWN_STRATEGY"),
    ),
    Case(
        _INCONCLUSIVE,
        "a fault ended by its lease, not by the coordinator",
        _fault(end_reason=FaultEnd.LEASE_EXPIRED),
    ),
    Case(
        _INCONCLUSIVE,
        "the run could not go on, for example because a service stayed away",
        _set(halted="time waited 120 s for exchange"),
    ),
    Case(_INCONCLUSIVE, "there is no audit report", _set(audit=None)),
    Case(
        _INCONCLUSIVE,
        "a journal's hash chain is broken",
        _finding(DiscrepancyKind.CHAIN_BROKEN, "exchange", "entry 41", complete=False),
    ),
    Case(
        _INCONCLUSIVE,
        "a journal is shorter than it was",
        _finding(DiscrepancyKind.TRUNCATED, "exchange", "40 of 41 entries", complete=False),
    ),
    Case(
        _INCONCLUSIVE,
        "journal entries were lost, and the start was told to accept it",
        _finding(DiscrepancyKind.LOST, "exchange", "exchange: 2 of 41 entries"),
    ),
    Case(
        _INCONCLUSIVE,
        f"the platform did not end a partition within {format_duration(GRACE)}, and the recovery"
        " failed",
        _partitioned(30 * SECOND, recovered=False),
        _CUT,
    ),
    Case(
        _INCONCLUSIVE,
        "the platform did not end a partition in time, and a forbidden alert fired after the"
        " fault's end",
        _partitioned(30 * SECOND, recovered=True, noise=True),
        _CUT,
    ),
    Case(_OTHER, "the run was aborted", _set(aborted="asked for by an operator")),
    Case(
        _OTHER,
        "the plan has no expectation",
        lambda observation: None,
        replace(PLAN, expectations=()),
    ),
)

_GROUPS = {
    _PASS: "The outcome is Pass only if nothing of the other tables happened.",
    _FAIL: "The outcome is Fail if one of these happened, and nothing of the next table. A Fail is"
    " a statement about the ecosystem under test.",
    _INCONCLUSIVE: "The outcome is Inconclusive if one of these happened, even if something of the"
    " table above happened, too: the run proves nothing. Its reasons come first in `reasons`, the"
    " failures follow.",
    _OTHER: "Aborted and Error replace every other outcome. A run of the service runtime also ends"
    " in Error if it cannot be judged at all, for example because another session was opened.",
}

_HEAD = """# Verdict rules

This page is generated: each line is the result of a call of `trading.scenario.verdict.judge`, with
one thing changed in a run in which everything was as it should be. The function is pure: it sees
the plan, the observation of the test coordinator, the audit report and the signals of the control
run, and nothing else. What the platform owes a run is in `trading.scenario.platform`.

The example plan has one fault, `crash`, and three expectations: alert `drawdown` within 1 minute,
breaker `HALTED` within 2 minutes, and no alert `settlement-overdue`. The cases with a partition use
a fault `cut` that the platform's network plays.
"""

_TAIL = """
## What counts as a detection

- An alert counts if its rule and, if given, its subject are as expected, and if it was detected at
  or after the moment when the service began to play the fault (`applied_at`).
- The latency is the time from the first evidence of the fault in the data plane (`injected_at`) to
  the detection, never below 0. It must not exceed `within`.
- If the verdict would be Pass, the same market runs once more without the faults, up to the last
  detection. A signal that also fires there is no detection. `--no-control` leaves this run out.
- An alert of a monitor of yours is detected when it arrives, whatever time it claims. Its name,
  its label `subject` and the expected labels must match. The control run with your monitors takes
  place whenever one of them has noticed a fault, also if the verdict is not a Pass.
- `noAlert` holds for the whole run, also before the first fault.
"""


def verdict_of(case: Case) -> Verdict:
    """Judge a case."""
    observation = good()
    case.change(observation)
    return judge(case.plan, observation, also_without=case.also_without)


def texts() -> dict[Path, str]:
    """Return the text of each page, by its path within the project. Raises ValueError if a case has
    another outcome than that of its group.
    """
    text = _HEAD
    for group, meaning in _GROUPS.items():
        text += f"\n## {group}\n\n{meaning}\n\n"
        head = ("what happened", "outcome", "first of `reasons`")
        text += table(head, (_row(case) for case in CASES if case.group == group))
    return {FOLDER / "verdict.md": text + _TAIL}


def _row(case: Case) -> tuple[str, str, str]:
    verdict = verdict_of(case)
    if verdict.outcome not in case.group.split(" and "):
        raise ValueError(f"{case.what}: {verdict.outcome}, not {case.group}")
    return plain(case.what), verdict.outcome, code(next(iter(verdict.reasons), ""))
