"""The reports, rendered from a real run and from hostile text."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from tests.browser import ARGUMENTS, chromium
from trading.embedded.api import load_scenario
from trading.embedded.run import RunResult, run_plan
from trading.report.html import render_html
from trading.report.junit import render_junit
from trading.report.record import Point, RunRecord, Series
from trading.report.scale import thin, value_ticks
from trading.report.svg_summary import render_svg
from trading.report.verdict_json import render_json
from trading.scenario.result import Verdict

HOSTILE = "<script>alert('x')</script> & \"quoted\" \x01"
replace = msgspec.structs.replace


@pytest.fixture(scope="module")
def run() -> RunResult:
    """Return the result of a run of strategy-malfunction."""
    return run_plan(load_scenario("strategy-malfunction").plan, control=False)


def hostile(verdict: Verdict) -> Verdict:
    """Return the verdict with markup and control characters in all of its texts."""
    expectations = tuple(
        replace(e, label=HOSTILE, met=False, reason=HOSTILE) for e in verdict.expectations
    )
    faults = tuple(replace(f, name=HOSTILE, evidence=HOSTILE) for f in verdict.faults)
    return replace(
        verdict,
        scenario=HOSTILE,
        description=HOSTILE,
        reasons=(HOSTILE,),
        outcome="Fail",
        expectations=expectations,
        faults=faults,
    )


def empty() -> RunRecord:
    """Return a record without any point."""
    none = Series("", "usd", ())
    return RunRecord(pnl=none, drawdown=none, gross=none, net=none)


def test_page_needs_nothing_from_elsewhere(run: RunResult) -> None:
    page = render_html(run.verdict, run.record)
    assert not re.search(r"<(script|link|img|iframe|object)|\son\w+=|url\(|@import", page)
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")


def test_page_shows_what_the_verdict_says(run: RunResult) -> None:
    page = render_html(run.verdict, run.record)
    for expected in run.verdict.expectations:
        assert expected.label in page
    for alert in run.record.alerts:
        assert alert.rule in page and alert.observed in page
    for head in run.verdict.audit.journals.values():
        assert head.head in page
    assert 'class="fault"' in page and "Recovering" in page


def test_hostile_text_is_text(run: RunResult) -> None:
    verdict = hostile(run.verdict)
    for text in (render_html(verdict, run.record), render_svg(verdict, run.record)):
        assert "<script" not in text and "&lt;script&gt;" in text
    ET.fromstring(render_junit(verdict))


def test_run_without_a_single_point_has_a_page(run: RunResult) -> None:
    assert "no data" in render_html(run.verdict, empty())
    ET.fromstring(render_svg(run.verdict, empty()))


def test_picture_is_xml(run: RunResult) -> None:
    root = ET.fromstring(render_svg(run.verdict, run.record))
    assert root.tag.endswith("svg")


def test_junit_counts_failures(run: RunResult) -> None:
    suite = ET.fromstring(render_junit(run.verdict)).find("testsuite")
    assert suite is not None and (suite.get("failures"), suite.get("errors")) == ("0", "0")
    bad = ET.fromstring(render_junit(hostile(run.verdict))).find("testsuite")
    assert bad is not None
    assert bad.get("failures") == str(len(run.verdict.expectations) + 1)
    unsure = replace(run.verdict, outcome="Inconclusive", reasons=("no evidence",))
    suite = ET.fromstring(render_junit(unsure)).find("testsuite")
    assert suite is not None and suite.get("errors") == "1"


def test_json_is_the_verdict(run: RunResult) -> None:
    assert msgspec.json.decode(render_json(run.verdict), type=Verdict) == run.verdict


def test_thinning_keeps_the_spike() -> None:
    points = [Point(n, 0) for n in range(10_000)]
    points[4321] = Point(4321, 99)
    points[4322] = Point(4322, -99)
    thinned = thin(points, 100)
    assert len(thinned) <= 404
    assert {Point(4321, 99), Point(4322, -99), points[0], points[-1]} <= set(thinned)


@pytest.mark.parametrize(("low", "high"), [(0, 0), (-3, 7), (1e15, 1e15), (0.001, 0.002), (-5, 0)])
def test_ticks_enclose_the_values(low: float, high: float) -> None:
    ticks = value_ticks(low, high)
    assert ticks[0] <= low and ticks[-1] >= high and 2 <= len(ticks) <= 8


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_in_a_browser(run: RunResult, tmp_path: Path, scheme: str) -> None:
    """The page makes no request, violates no security policy, and every chart is visible."""
    from playwright.sync_api import sync_playwright

    file = tmp_path / "report.html"
    file.write_text(render_html(hostile(run.verdict), run.record), encoding="utf-8")
    console: list[str] = []
    requests: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
        page.on("console", lambda message: console.append(message.text))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri())
        boxes = [svg.bounding_box() for svg in page.query_selector_all("svg")]
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        stroke = page.evaluate("getComputedStyle(document.querySelector('.line')).stroke")
        wide = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        browser.close()
    assert console == [] and requests == [file.as_uri()]
    assert len(boxes) == 7 and all(box and box["height"] > 50 for box in boxes)
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}[scheme]
    assert stroke != "none" and wide
