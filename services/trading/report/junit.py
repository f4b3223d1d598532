"""Render junit.xml for CI systems: each expectation, the recovery and the audit are test cases."""

from typing import assert_never
from xml.etree import ElementTree as ET

from trading.report.figures import audit_summary, explanation
from trading.scenario.result import Outcome, Verdict

#: Control characters that XML 1.0 does not allow, and their replacement.
_FORBIDDEN = {code: "?" for code in range(32) if code not in (9, 10, 13)}


def render_junit(verdict: Verdict) -> str:
    """Return one test suite. A missed expectation is a failure. The test case ``verdict`` is an
    error if the outcome proves nothing (Inconclusive, Aborted, Error).
    """
    suite = ET.Element("testsuite", name=_text(verdict.scenario))
    for expected in verdict.expectations:
        seconds = max(expected.latency, 0) / 1_000_000
        case = _case(suite, verdict, expected.label, seconds)
        if not expected.met:
            _fail(case, expected.reason)
        elif text := explanation(expected):
            ET.SubElement(case, "system-out").text = _text(text)
    recovery = _case(suite, verdict, "recovery", max(verdict.recovery.took, 0) / 1_000_000)
    if not verdict.recovery.recovered:
        _fail(recovery, verdict.recovery.reason)
    audit = _case(suite, verdict, "audit", 0)
    if verdict.audit.discrepancies or not verdict.audit.complete:
        details = (f"{d.kind} at {d.where}: {d.detail}" for d in verdict.audit.discrepancies)
        _fail(audit, "; ".join([audit_summary(verdict), *details]))
    final = _case(suite, verdict, "verdict", 0)
    reasons = "; ".join(verdict.reasons)
    match verdict.outcome:
        case Outcome.PASS:
            pass
        case Outcome.FAIL:
            _fail(final, reasons)
        case Outcome.INCONCLUSIVE | Outcome.ABORTED | Outcome.ERROR:
            ET.SubElement(final, "error", message=_text(f"{verdict.outcome}: {reasons}"))
        case _ as never:
            assert_never(never)
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", str(len(suite.findall("testcase/error"))))
    suite.set("time", f"{(verdict.ended_at - verdict.started_at) / 1_000_000:.3f}")
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _case(suite: ET.Element, verdict: Verdict, name: str, seconds: float) -> ET.Element:
    """Add a test case. Its time is the simulated detection latency, which is the figure whose trend
    is of interest in a CI system.
    """
    classname = f"chaos.{_text(verdict.scenario)}"
    return ET.SubElement(
        suite, "testcase", classname=classname, name=_text(name), time=f"{seconds:.3f}"
    )


def _fail(case: ET.Element, message: str) -> None:
    ET.SubElement(case, "failure", message=_text(message))


def _text(text: str) -> str:
    return text.translate(_FORBIDDEN)
