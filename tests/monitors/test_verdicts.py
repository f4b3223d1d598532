"""What a run makes of its monitors: noticed, silent, lying, broken; one or several."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from tests.monitors.scenario import TEXT, Killing, Lying, Noticing, Silent, judged_class, plan
from trading.embedded.reporting import write_report
from trading.embedded.run import run_plan
from trading.embedded.verification import verify_directory
from trading.monitors import Alert, Answer, Book, Event, Start
from trading.report.html import render_html
from trading.scenario.result import Outcome


def test_a_class_that_notices_passes() -> None:
    verdict = judged_class(Noticing).verdict
    assert (verdict.outcome, verdict.reasons) == (Outcome.PASS, ())
    assert [e.label for e in verdict.expectations] == [
        "alert price-move by desk",
        "noAlert venue-down by desk",
    ]
    (outcome,) = verdict.monitors
    (detection,) = outcome.detections
    assert (detection.fault, detection.alert, detection.subject) == ("fall", "price-move", "BTC")
    assert detection.latency == verdict.expectations[0].latency > 0
    assert (outcome.alerts, outcome.unexpected) == (1, 0)


def test_a_silent_one_fails() -> None:
    verdict = judged_class(Silent).verdict
    assert verdict.outcome == Outcome.FAIL
    assert verdict.reasons == ("alert price-move by desk: never came",)
    (detection,) = verdict.monitors[0].detections
    assert detection.alert == ""


def test_one_that_fires_all_the_time_fails() -> None:
    verdict = judged_class(Lying).verdict
    assert verdict.outcome == Outcome.FAIL
    assert "also fires without the fault" in verdict.reasons[0]
    assert verdict.monitors[0].unexpected == verdict.monitors[0].alerts > 10


def test_a_late_one_fails() -> None:
    text = TEXT.replace("within: 10s}\n", "within: 1s}\n")
    verdict = judged_class(Noticing, text).verdict
    assert verdict.outcome == Outcome.FAIL and "limit 1s" in verdict.reasons[0]


class Raising(Silent):
    """Raises an error at its first step."""

    def on(self, events: Sequence[Event], now: int) -> Iterable[Answer]:
        """Raise ZeroDivisionError."""
        return [Alert(name=str(1 // 0))]


class Nonsense(Silent):
    """Answers with a text."""

    def on(self, events: Sequence[Event], now: int) -> Iterable[Answer]:
        """Return what is no answer."""
        return ["drawdown"]  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("create", "says"),
    [
        (Raising, "raised ZeroDivisionError"),
        (Nonsense, "expected Alert, Resolve or Kill, got str"),
    ],
)
def test_a_broken_class_is_inconclusive(create: type[Silent], says: str) -> None:
    verdict = judged_class(create).verdict
    assert verdict.outcome == Outcome.INCONCLUSIVE and says in verdict.reasons[0]
    assert says in verdict.monitors[0].failure


def test_one_that_breaks_in_the_control_run_is_inconclusive() -> None:
    created = iter((Noticing, Raising))
    verdict = run_plan(plan(), monitors={"desk": lambda: next(created)()}).verdict
    assert verdict.outcome == Outcome.INCONCLUSIVE
    assert "by zero (in the control run)" in verdict.reasons[0]


def test_several_are_compared_in_one_run() -> None:
    text = TEXT.replace("[desk]", "[risk-monitor, quick, asleep]")
    result = run_plan(plan(text), monitors={"quick": Noticing, "asleep": Silent})
    verdict = result.verdict
    assert verdict.outcome == Outcome.FAIL
    missed = [e.label for e in verdict.expectations if not e.met]
    assert missed == ["alert price-move by asleep"]
    by_name = {m.name: m for m in verdict.monitors}
    assert list(by_name) == ["risk-monitor", "quick", "asleep"]
    assert [bool(m.detections[0].alert) for m in by_name.values()] == [True, True, False]
    page = render_html(verdict, result.record)
    assert "<h2>Monitors</h2>" in page and "asleep" in page


def test_an_expectation_may_be_about_one_of_them_and_its_labels() -> None:
    text = TEXT.replace("[desk]", "[risk-monitor, desk]")
    expected = "alert: '*', monitor: desk, labels: {subject: ASSET}, of: fall"
    for asset, outcome in (("BTC", Outcome.PASS), ("ETH", Outcome.FAIL)):
        narrowed = text.replace("alert: price-move, of: fall", expected.replace("ASSET", asset))
        verdict = judged_class(Noticing, narrowed).verdict
        assert verdict.outcome == outcome, verdict.reasons
        assert verdict.expectations[0].label == f"alert * with subject={asset} by desk"


def test_a_forbidden_alert_counts_for_its_monitor_only() -> None:
    text = TEXT.replace("[desk]", "[risk-monitor, desk]")
    text = text.replace("noAlert: venue-down", "noAlert: price-move, monitor: desk")
    verdict = judged_class(
        Silent, text.replace("{alert: price-move, of", "{alert: x, of", 0)
    ).verdict
    forbidden = [e for e in verdict.expectations if e.kind == "noAlert"]
    assert [(e.label, e.met) for e in forbidden] == [("noAlert price-move by desk", True)]


def test_it_can_stop_trading() -> None:
    text = TEXT.replace("{noAlert: venue-down}", "{breaker: HALTED, of: fall, within: 20s}")
    text = text.replace("steadyState", "controls: {disable: [drawdown, loss-limit]}\n  steadyState")
    assert not judged_class(Noticing, text).verdict.expectations[-1].met
    verdict = judged_class(Killing, text).verdict
    assert verdict.outcome == Outcome.PASS, verdict.reasons
    assert verdict.expectations[-1].observed == "monitor desk: Bitcoin falls"


class Watching(Silent):
    """Notes when each event arrived, for all instances together."""

    seen: ClassVar[list[tuple[int, Event]]] = []

    def on(self, events: Sequence[Event], now: int) -> Iterable[Answer]:
        """Note the events."""
        self.seen.extend((now, event) for event in events)
        return ()


def test_it_sees_what_the_risk_monitor_sees_and_nothing_else() -> None:
    """A partition blinds it, but it is still asked every second."""
    Watching.seen.clear()
    text = TEXT.replace(
        "marketShock: {symbols: [BTCUSDT], change: -15%, over: 10s}",
        "networkPartition: {between: [[risk-monitor, exchange]]}",
    )
    verdict = judged_class(
        Watching, text.replace("noAlert: venue-down", "noAlert: drawdown")
    ).verdict
    start, *others = [event for _, event in Watching.seen]
    assert isinstance(start, Start) and start.monitor == "desk" and start.protocol == 1
    names = {type(event).__name__ for event in others}
    assert names <= {
        "Price",
        "Book",
        "Trade",
        "Execution",
        "SymbolStatus",
        "KillSwitch",
        "Account",
        "Custody",
        "Pong",
    }
    (fault,) = verdict.faults
    dark = (fault.applied_at + 100_000, fault.ended_at)
    in_the_dark = [e for at, e in Watching.seen if dark[0] < at < dark[1]]
    assert in_the_dark, "prices and custody still arrive"
    venue = ("Book", "Trade", "Execution")
    assert not [e for e in in_the_dark if type(e).__name__ in venue]
    assert [e for _, e in Watching.seen if isinstance(e, Book)]


def test_its_firm_s_orders_are_all_that_it_sees_of_orders() -> None:
    Watching.seen.clear()
    run = judged_class(Watching)
    accounts = set(run.plan.universe.firm_accounts)
    reports = [e for _, e in Watching.seen if type(e).__name__ == "Execution"]
    assert reports and {r.account for r in reports} <= accounts  # type: ignore[attr-defined]


def test_the_evidence_holds_and_shows_a_forged_answer(tmp_path: Path) -> None:
    """Its answers are inputs of the run: verified as such, without the monitor."""
    result = judged_class(Noticing)
    write_report(result, tmp_path)
    assert verify_directory(tmp_path).intact
    journal = tmp_path / "journals" / "test-coordinator.ndjson"
    lines = journal.read_bytes().splitlines(keepends=True)
    without = [line for line in lines if b'"MonitorAlert"' not in line]
    assert len(without) < len(lines)
    journal.write_bytes(b"".join(without))
    assert not verify_directory(tmp_path).intact


def test_the_evidence_has_what_it_did_in_the_control_run(tmp_path: Path) -> None:
    result = judged_class(Lying)
    write_report(result, tmp_path)
    assert verify_directory(tmp_path).intact
    assert result.baseline.signals == (("desk: price-move", "BTC"),)
    record = (tmp_path / "plan.json").read_text().replace('"desk: price-move"', '"desk: other"')
    (tmp_path / "plan.json").write_text(record)
    assert not verify_directory(tmp_path).intact


def test_a_run_without_one_is_what_it_was() -> None:
    """The built-in monitor alone needs no word about monitors, and has the same digest."""
    alone = plan(TEXT.replace("  monitors: [desk]\n", ""))
    named = msgspec.structs.replace(alone, monitors=("risk-monitor",))
    assert alone.journal_id != named.journal_id
    verdict = run_plan(alone).verdict
    assert verdict.monitors == () and verdict.outcome == Outcome.PASS
