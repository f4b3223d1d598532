"""Render summary.svg: the run in one picture, for a README, a chat or a slide."""

from html import escape

from trading.report.chart import LEFT, WIDTH, TimeAxis
from trading.report.figures import (
    audit_summary,
    explanation,
    latency,
    limit,
    recovery_summary,
    tone,
)
from trading.report.origin import label
from trading.report.panels import alerts, portfolio, prices, stack
from trading.report.record import RunRecord
from trading.report.style import PICTURE_CSS
from trading.scenario.result import ExpectationOutcome, Verdict

_HEAD = 64
_ROW = 20


def render_svg(verdict: Verdict, record: RunRecord) -> str:
    """Return a stand-alone SVG: verdict, prices, profit, drawdown, alerts, and the expectations."""
    axis = TimeAxis(verdict)
    pnl, drawdown = portfolio(axis, record, height=130)
    body, height = stack([prices(axis, record), pnl, drawdown, alerts(axis, record)], gap=8)
    description = label(verdict.description, verdict.setup.overrides)
    rows_at = _HEAD + height + 24
    total = rows_at + _ROW * (len(verdict.expectations) + 3)
    rows = [_row(e, rows_at + _ROW * (n + 1)) for n, e in enumerate(verdict.expectations)]
    below = rows_at + _ROW * (len(rows) + 1)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {total}" '
        f'width="{WIDTH}" height="{total}" role="img" '
        f'aria-label="{escape(verdict.scenario)}: {verdict.outcome}"><style>{PICTURE_CSS}</style>'
        f'<rect class="page" width="{WIDTH}" height="{total}"/>'
        f'<text x="{LEFT}" y="28" font-size="20" font-weight="700">{escape(verdict.scenario)}'
        f'<tspan class="{tone(verdict.outcome)}" dx="12">{verdict.outcome}</tspan></text>'
        f'<text class="tick" x="{LEFT}" y="48">{escape(description)} · seed '
        f"{verdict.seed}</text>"
        f'<g transform="translate(0 {_HEAD})">{body}</g>'
        f'<text class="title" x="{LEFT}" y="{rows_at}">Expected, and what came</text>'
        f"{''.join(rows)}{_line('recovery', recovery_summary(verdict), below)}"
        f"{_line('audit', audit_summary(verdict), below + _ROW)}</svg>\n"
    )


def _row(expected: ExpectationOutcome, y: int) -> str:
    mark, look = ("✓", "good") if expected.met else ("✗", "bad")
    bound = (
        "as wanted" if expected.kind == "noAlert" and expected.met else f"limit {limit(expected)}"
    )
    return (
        f'<text class="{look}" x="{LEFT}" y="{y}">{mark}</text>'
        f'<text x="{LEFT + 18}" y="{y}">{escape(expected.label)}</text>'
        f'<text class="end" x="470" y="{y}">{latency(expected)}</text>'
        f'<text class="tick" x="480" y="{y}">{bound}</text>'
        f'<text class="tick" x="580" y="{y}">{escape(explanation(expected))}</text>'
    )


def _line(name: str, text: str, y: int) -> str:
    return (
        f'<text x="{LEFT + 18}" y="{y}">{name}</text>'
        f'<text class="tick" x="{LEFT + 120}" y="{y}">{escape(text)}</text>'
    )
