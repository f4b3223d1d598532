"""The view of the audit assigns each alert to the fault that explains it."""

from trading.api.audit_correlator import answers
from trading.api.audit_correlator.view import CorrelationView
from trading.audit_correlator import AuditCorrelator
from trading.embedded.api import load_scenario
from trading.embedded.run import run_plan
from trading.messages.audit import JournalBatch
from trading.topology import AUDIT_CORRELATOR
from trading.universe import default_universe


def audited(scenario: str) -> AuditCorrelator:
    """Return an auditor that has read the journals of a run of the scenario."""
    auditor = AuditCorrelator(default_universe())
    result = run_plan(load_scenario(scenario).plan, control=False)
    for name, journal in result.journals.items():
        if name != AUDIT_CORRELATOR:
            auditor.on(JournalBatch(name, 0, tuple(journal.after(0))), 0)
    return auditor


def test_an_alert_belongs_to_the_fault_that_is_on() -> None:
    """The second fault begins while the first could still explain an alert."""
    auditor = audited("exchange-downtime")
    view = CorrelationView(auditor.timeline.records())
    assert list(view.faults) == ["dark", "resets"]
    for fault in view.faults.values():
        (alert,) = fault.alerts
        assert alert.rule == "venue-down"
        assert alert.fired.time > fault.effect_at
        assert fault.ended is not None and alert.fired.time < fault.ended.time
    assert view.unexplained == []


def test_an_alert_after_the_fault_is_its_echo() -> None:
    auditor = audited("market-crash")
    records = [r for r in auditor.timeline.records() if r.kind != "AlertFired"]
    (late,) = [r for r in auditor.timeline.records() if r.kind == "AlertFired"][:1]
    (recovered,) = (r.time for r in records if r.kind == "FaultRecovered")
    for minutes, explained in ((4, True), (6, False)):
        late.message.detected_time = recovered + minutes * 60_000_000  # type: ignore[attr-defined]
        view = CorrelationView([*records, late])
        assert bool(view.faults["crash"].alerts) is explained
        assert bool(view.unexplained) is not explained


def test_the_newest_records_are_kept_and_the_others_counted() -> None:
    auditor = audited("market-crash")
    records = auditor.timeline.records()
    page = answers.timeline(auditor, 0, 3)
    assert [r["seq"] for r in page["records"]] == [r.seq for r in records[-3:]]
    assert page["left_off"] == len(records) - 3
    assert len(page["phases"]) == 6
