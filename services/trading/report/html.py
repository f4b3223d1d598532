"""Render report.html: a single page for a risk committee, without scripts or network access."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from html import escape

from trading.report.chart import WIDTH, TimeAxis
from trading.report.figures import (
    audit_summary,
    clock,
    explanation,
    latency,
    limit,
    recovery_summary,
    tone,
)
from trading.report.origin import (
    alert_name,
    clock_summary,
    control_summary,
    label,
    monitor_rows,
    program_summary,
)
from trading.report.panels import Panel, alerts, details, portfolio, prices
from trading.report.record import RunRecord
from trading.report.style import PAGE_CSS
from trading.scenario.result import FaultOutcome, Verdict
from trading.units import format_duration

#: At most this many alerts are listed; all of them are drawn.
MAX_ALERT_ROWS = 200


def render_html(verdict: Verdict, record: RunRecord) -> str:
    """Return the page. Its content security policy forbids everything but its own style sheet."""
    digest = b64encode(sha256(PAGE_CSS.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    axis = TimeAxis(verdict)
    name = escape(verdict.scenario)
    main = [prices(axis, record), *portfolio(axis, record), alerts(axis, record)]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}: {verdict.outcome}</title>
<style>{PAGE_CSS}</style>
</head>
<body>
<header>
<h1>{name}</h1>
<p class="outcome {tone(verdict.outcome)}">{verdict.outcome}</p>
<p>{escape(label(verdict.description, verdict.setup.overrides))}</p>
<p class="sub">seed {verdict.seed} · {format_duration(verdict.ended_at - verdict.started_at)} of \
market time · {record.messages:,} messages · times count from the start of the run</p>
{_reasons(verdict)}
</header>
<main>
<h2>Expected, and what came</h2>
{_expectations(verdict)}
<p>Recovery: {escape(recovery_summary(verdict))}</p>
<p>Audit: {escape(audit_summary(verdict))}</p>
{_monitors(verdict)}
<h2>The run</h2>
<p class="sub">Faults are shaded, phases are dashed lines.</p>
{_pictures(main)}
<h2>Faults and their evidence</h2>
{_faults(verdict)}
<h2>Books and exposure</h2>
{_pictures(details(axis, record))}
<h2>Alerts</h2>
{_alerts(verdict)}
<h2>Audit</h2>
{_audit(verdict)}
<h2>What was run</h2>
{_origin(verdict)}
</main>
</body>
</html>
"""


def _pictures(panels: Iterable[Panel]) -> str:
    return "\n".join(
        f'<svg viewBox="0 0 {WIDTH} {p.height}" role="img" aria-label="{escape(p.title)}">'
        f"{p.svg}</svg>"
        for p in panels
    )


def _reasons(verdict: Verdict) -> str:
    if not verdict.reasons:
        return ""
    items = "".join(f"<li>{escape(reason)}</li>" for reason in verdict.reasons)
    return f'<ul class="{tone(verdict.outcome)}">{items}</ul>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], figures: Sequence[int] = ()) -> str:
    """Return a table. ``rows`` are markup; the columns in ``figures`` are aligned to the right."""

    def cell(tag: str, number: int, content: str) -> str:
        look = ' class="figure"' if number in figures else ""
        return f"<{tag}{look}>{content}</{tag}>"

    header = "".join(cell("th", n, title) for n, title in enumerate(head))
    body = "".join(
        "<tr>" + "".join(cell("td", n, content) for n, content in enumerate(row)) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{header}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _expectations(verdict: Verdict) -> str:
    rows = (
        (
            f'<span class="{"good" if e.met else "bad"}">{"✓ met" if e.met else "✗ missed"}</span>',
            escape(e.label),
            latency(e),
            limit(e),
            escape(explanation(e)),
        )
        for e in verdict.expectations
    )
    return _table(("", "Expectation", "Detected after", "Limit", "What was seen"), rows, (2, 3))


def _faults(verdict: Verdict) -> str:
    def at(time: int) -> str:
        return clock(time - verdict.started_at) if time else "–"

    def row(fault: FaultOutcome) -> tuple[str, ...]:
        return (
            escape(fault.name),
            escape(fault.kind),
            at(fault.applied_at),
            at(fault.injected_at),
            at(fault.ended_at),
            at(fault.recovered_at),
            escape(fault.evidence or "none: the injection was never seen"),
        )

    head = ("Fault", "Kind", "Applied", "Verified", "Ended", "Recovered", "Evidence")
    return _table(head, (row(f) for f in verdict.faults), (2, 3, 4, 5))


def _monitors(verdict: Verdict) -> str:
    """Return the section that compares the monitors; nothing if the scenario names none."""
    if not verdict.monitors:
        return ""
    head = ("Monitor", "Fault", "Detected by", "After", "Alerts beside")
    rows = (tuple(escape(text) for text in row) for row in monitor_rows(verdict))
    return "<h2>Monitors</h2>" + _table(head, rows, (3,))


def _alerts(verdict: Verdict) -> str:
    if not verdict.alerts:
        return "<p>None fired.</p>"
    start = verdict.started_at
    rows = (
        (
            clock(a.detected_at - start),
            clock(a.resolved_at - start) if a.resolved_at else "still firing",
            escape(alert_name(a)),
            escape(a.severity),
            escape(a.subject),
            escape(a.observed),
            escape(a.limit),
            "expected" if a.expected else "beside",
        )
        for a in verdict.alerts[:MAX_ALERT_ROWS]
    )
    head = ("Fired", "Resolved", "Rule", "Severity", "Subject", "Observed", "Limit", "")
    more = len(verdict.alerts) - MAX_ALERT_ROWS
    note = f"<p>{more} more are in verdict.json.</p>" if more > 0 else ""
    return _table(head, rows, (0, 1)) + note


def _audit(verdict: Verdict) -> str:
    audit = verdict.audit
    discrepancies = _table(
        ("Kind", "Where", "What"),
        ((escape(d.kind), escape(d.where), escape(d.detail)) for d in audit.discrepancies),
    )
    journals = _table(
        ("Journal", "Events", "Head of its hash chain"),
        ((escape(n), f"{h.events:,}", f"<code>{h.head}</code>") for n, h in audit.journals.items()),
        (1,),
    )
    return (
        f"<p>{escape(audit_summary(verdict))}</p>{discrepancies if audit.discrepancies else ''}"
        f"<p>Root of the audit's own chain: <code>{escape(audit.root)}</code></p>{journals}"
    )


def _origin(verdict: Verdict) -> str:
    setup = verdict.setup
    changed = ((escape(path), escape(value)) for path, value in setup.overrides.items())
    limits = [(escape(rule), escape(limit)) for rule, limit in setup.limits.items()]
    limits += [(escape(rule), "switched off") for rule in setup.disabled_rules]
    return (
        f"<p>Made by {escape(program_summary(verdict))}</p>"
        f"<p>Clock: {escape(clock_summary(verdict))}</p>"
        f"<p>Control run: {escape(control_summary(verdict))}</p>"
        f"<p>The same run again: <code>{escape(verdict.command)}</code></p>"
        f"{_table(('Changed', 'To'), changed) if setup.overrides else '<p>Nothing changed.</p>'}"
        f"{_table(('Rule', 'Limit in force'), limits)}"
    )
