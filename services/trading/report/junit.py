"""junit.xml: what CI systems show. Each expectation is a test case; so are recovery and audit."""

from xml.etree import ElementTree as ET

from trading.report.figures import audit_summary, explanation
from trading.scenario.result import ABORTED, ERROR, INCONCLUSIVE, PASS, Verdict

#: What XML 1.0 cannot hold, apart from tab and line ends.
_FORBIDDEN = {code: "?" for code in range(32) if code not in (9, 10, 13)}


def render_junit(verdict: Verdict) -> str:
    """One test suite. A missed expectation is a failure; an outcome that proves nothing
    (Inconclusive, Aborted, Error) makes the case ``verdict`` an error.
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
        found = (f"{d.kind} at {d.where}: {d.detail}" for d in verdict.audit.discrepancies)
        _fail(audit, "; ".join([audit_summary(verdict), *found]))
    final = _case(suite, verdict, "verdict", 0)
    reasons = "; ".join(verdict.reasons)
    if verdict.outcome in (INCONCLUSIVE, ERROR, ABORTED):
        ET.SubElement(final, "error", message=_text(f"{verdict.outcome}: {reasons}"))
    elif verdict.outcome != PASS:
        _fail(final, reasons)
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", str(len(suite.findall("testcase/error"))))
    suite.set("time", f"{(verdict.ended_at - verdict.started_at) / 1_000_000:.3f}")
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _case(suite: ET.Element, verdict: Verdict, name: str, seconds: float) -> ET.Element:
    """``time`` is simulated: the detection latency, which is what one wants to see trend."""
    classname = f"chaos.{_text(verdict.scenario)}"
    return ET.SubElement(
        suite, "testcase", classname=classname, name=_text(name), time=f"{seconds:.3f}"
    )


def _fail(case: ET.Element, message: str) -> None:
    ET.SubElement(case, "failure", message=_text(message))


def _text(text: str) -> str:
    return text.translate(_FORBIDDEN)
