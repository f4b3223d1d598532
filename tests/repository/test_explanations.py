"""What the explanations say about a run is what happens in it."""

import re
from pathlib import Path

import pytest

from tools.reference.evidence import crash
from trading.scenario.result import Verdict
from trading.units import SECOND

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "explanations"


def text(name: str) -> str:
    """Return the text of an explanation."""
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def clock(verdict: Verdict, at: int) -> str:
    """Return the time since the start in minutes and seconds, as the pages write it."""
    tenths = round((at - verdict.started_at) * 10 / SECOND)
    minutes, rest = divmod(tenths, 600)
    return f"{minutes}:{rest // 10:02}" + (f".{rest % 10}" if rest % 10 else "")


def test_the_life_of_a_fault_has_the_times_and_figures_of_the_run() -> None:
    verdict = crash().verdict
    (fault,) = verdict.faults
    detected = [e for e in verdict.expectations if e.latency >= 0]
    steady = next(c for c in verdict.conditions if c.type == "SteadyState").last_transition_time
    times = [steady, fault.requested_at, fault.injected_at, fault.ended_at, fault.recovered_at]
    times += [e.detected_at for e in detected] + [verdict.audit.correlations[0].first_alert]
    expected = [
        fault.evidence,
        f"took {verdict.recovery.took / SECOND:g} s",
        f"{verdict.audit.events:,} entries",
        *(clock(verdict, at) for at in times),
        *(e.observed for e in detected if e.kind == "alert"),
        *(f"{e.latency // SECOND % 60 + e.latency % SECOND / SECOND:g} s" for e in detected),
    ]
    unwrapped = " ".join(text("fault").split())
    assert [phrase for phrase in expected if phrase not in unwrapped] == []


@pytest.mark.parametrize("name", ["clocks", "audit"])
def test_the_root_is_that_of_the_run(name: str) -> None:
    named = re.findall(r"^root +([0-9a-f]{64})$", text(name), re.MULTILINE)
    assert named and set(named) == {crash().verdict.audit.root}, f"update the root in {name}.md"


def test_the_number_of_entries_is_that_of_the_run() -> None:
    entries = sum(journal.length for journal in crash().journals.values())
    assert f"{entries} entries in {len(crash().journals)} journals" in text("audit")


def test_every_link_of_the_written_pages_leads_somewhere() -> None:
    """Check the pages of the site, and the Markdown files in the root directory."""
    pages = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)", page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_every_module_that_a_page_names_exists() -> None:
    named = {
        (page.name, module)
        for page in PAGES.glob("*.md")
        for module in re.findall(r"`(trading(?:_operator)?\.[a-z_.]+)`", page.read_text("utf-8"))
    }
    missing = [
        f"{page}: {module}"
        for page, module in sorted(named)
        if not any(
            (ROOT / folder / Path(*module.split("."))).with_suffix(suffix).exists()
            for folder in ("services", "operator")
            for suffix in (".py", "")
        )
        and not _is_a_name_in(module)
    ]
    assert missing == []


def _is_a_name_in(dotted: str) -> bool:
    """Return whether this is a function or class of a module, such as
    `trading.scenario.verdict.judge`.
    """
    module, _, name = dotted.rpartition(".")
    file = ROOT / "services" / Path(*module.split("."))
    source = file.with_suffix(".py")
    return source.exists() and bool(
        re.search(rf"^(?:def|class) {name}\b", source.read_text(), re.M)
    )
