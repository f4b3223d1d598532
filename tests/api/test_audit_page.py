"""Checks the audit correlator's API against the journals themselves, and its page in a real
browser.
"""

import json
import re
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx_sse import EventSource
from playwright.sync_api import Browser, Page, Route, expect

from tests.api.running import Up, verdict_of, wait_for
from tests.forked import command
from trading.runtime.journal import decode, from_ndjson, verify
from trading.topology import AUDIT_CORRELATOR, SERVICES

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SOON = 20_000


def begin(up: Up, speed: int) -> str:
    """Start a run of a market crash, to which the risk monitor responds with breaker and kill
    switches; return its id.
    """
    arguments = ["run", "market-crash", "--set", f"clock.speed={speed}", "--detach"]
    environment = {"COORDINATOR_URL": up.url["test-coordinator"], "DATA_DIR": str(up.data)}
    done = command("scenario", *arguments, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[1]


def get(up: Up, path: str) -> Any:
    answer = httpx.get(up.url[AUDIT_CORRELATOR] + path, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def crash(up: Up) -> dict[str, Any]:
    """The verdict of a run that is over; its session goes on."""
    judged = verdict_of(up, begin(up, 600), 200)
    assert judged["outcome"] == "Pass"
    wait_for("the end of the run", lambda: "Completed" in phases(up))
    return judged


def phases(up: Up) -> list[str]:
    return [phase["subject"] for phase in get(up, "/api/v1/timeline")["phases"]]


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1400, "height": 1000})
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on(
        "console", lambda m: problems.append(m.text) if "Content Security" in m.text else None
    )
    yield opened
    opened.close()
    assert problems == []


def show(page: Page, up: Up) -> None:
    page.goto(up.url[AUDIT_CORRELATOR])
    expect(page.locator("#connection")).to_have_text("live", timeout=SOON)


# ---- the page: the first test is before the run, the second one watches it ----------------------


def test_without_a_run_it_says_so(up: Up, page: Page) -> None:
    show(page, up)
    expect(page.locator("#no-faults")).to_contain_text("No fault in this session")
    expect(page.locator("#run")).to_contain_text("no run")


def test_a_run_is_followed_live(up: Up, page: Page) -> None:
    show(page, up)
    run_id = begin(up, 150)
    expect(page.locator("#run")).to_have_text(f"run {run_id}", timeout=SOON)
    step = page.locator(".step")
    expect(step.nth(2)).to_contain_text("drawdown portfolio", timeout=60_000)
    expect(step.nth(3)).to_contain_text("the fault is on")
    expect(page.locator("#state")).to_have_text("READING")
    expect(step.nth(3)).to_contain_text("verified", timeout=60_000)
    expect(page.locator("#state")).to_have_text("✓ VERIFIED", timeout=60_000)
    verdict_of(up, run_id, 200)


def test_it_shows_what_led_to_what(up: Up, page: Page, crash: dict[str, Any]) -> None:
    show(page, up)
    expect(page.locator("#state")).to_have_text("✓ VERIFIED", timeout=SOON)
    expect(page.locator("#root")).to_have_text(crash["audit"]["root"])
    expect(page.locator("#coverage")).to_have_text("100 %")
    expect(page.locator("#chains")).to_have_text("7 of 7")
    expect(page.locator("#findings-count")).to_have_text("0")
    detected = next(e for e in crash["expectations"] if e["name"] == "drawdown")
    latency = f"+{detected['latency'] / 1e6:g} s"
    expect(page.locator(".step").nth(1)).to_contain_text(crash["faults"][0]["evidence"])
    expect(page.locator(".step").nth(2)).to_contain_text(latency)
    lanes = page.locator("svg")
    for kind in ("injection", "effect", "critical", "breaker-halted", "kill", "recovery"):
        assert lanes.locator(f".mark.{kind}").count() >= 1, kind
    row = page.locator("#records tr", has_text="alert fired").filter(has_text="drawdown")
    expect(row.locator(".after")).to_have_text(latency)
    page.get_by_label("Response").check()
    expect(page.locator("#records tr").first).to_contain_text("REDUCING")
    assert page.locator("#records tr", has_text="alert fired").count() == 0


def test_a_mark_opens_its_evidence_by_keyboard(up: Up, page: Page, crash: dict[str, Any]) -> None:
    show(page, up)
    mark = page.locator("svg .mark")
    expect(mark.first).to_be_visible(timeout=SOON)
    assert page.locator("svg .mark[tabindex='0']").count() == 1
    page.locator("svg .mark[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("effect verified")
    expect(page.locator("#evidence-result")).to_contain_text("Recomputed in this browser")
    body = page.locator("#evidence-body").inner_text()
    assert json.loads(body)[2] == "FaultInjected"
    dialog.get_by_role("button", name="After").click()
    expect(page.locator("#evidence-body")).not_to_have_text(body)
    expect(page.locator("#evidence-result")).to_contain_text("Recomputed in this browser")
    # The marks are drawn again meanwhile, as after every change of the timeline.
    page.evaluate(
        "document.querySelector('input[name=range]:checked').dispatchEvent("
        "new Event('change', {bubbles: true}))"
    )
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    focused = re.compile("effect verified")
    expect(page.locator("svg .mark:focus")).to_have_attribute("aria-label", focused)


def test_evidence_that_was_changed_does_not_match(
    up: Up, page: Page, crash: dict[str, Any]
) -> None:
    def changed(route: Route) -> None:
        entry = route.fetch().json()
        entry["body"] = entry["body"].replace('"drawdown"', '"sunshine"', 1)
        route.fulfill(json=entry)

    page.route("**/api/v1/evidence/**", changed)
    show(page, up)
    page.get_by_role("button", name=re.compile("Evidence: .*alert fired drawdown")).last.click()
    expect(page.locator("#evidence-result")).to_contain_text("Does not match")


def test_the_browser_verifies_the_whole_ledger(up: Up, page: Page, crash: dict[str, Any]) -> None:
    show(page, up)
    page.get_by_role("button", name="Verify in this browser").click()
    expect(page.locator("#ledger-result")).to_contain_text("the chain holds")

    for damage in (
        lambda line: "",
        lambda line: line.replace('"entry":[', '"entry":[1', 2),
        lambda line: line.replace("PhaseChanged", "PhaseChangee", 1),
    ):
        page.route("**/api/v1/ledger", partial(_sixth_line, damage))
        page.get_by_role("button", name="Verify in this browser").click()
        expect(page.locator("#ledger-result")).to_contain_text("breaks at line 6")
        page.unroute("**/api/v1/ledger")
        page.get_by_role("button", name="Verify in this browser").click()
        expect(page.locator("#ledger-result")).to_contain_text("the chain holds")


def _sixth_line(damage: Callable[[str], str], route: Route) -> None:
    answer = route.fetch()
    lines = answer.text().splitlines(keepends=True)
    lines[5] = damage(lines[5])
    route.fulfill(response=answer, body="".join(lines))


def test_it_fits_a_phone_and_obeys_the_policy(
    up: Up, browser: Browser, crash: dict[str, Any]
) -> None:
    phone = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="light")
    refusals: list[str] = []
    phone.on("console", lambda m: refusals.append(m.text) if m.type == "error" else None)
    phone.goto(up.url[AUDIT_CORRELATOR])
    expect(phone.locator("svg .mark").first).to_be_visible(timeout=SOON)
    width = phone.evaluate("document.documentElement.scrollWidth")
    background = phone.evaluate("getComputedStyle(document.body).backgroundColor")
    phone.locator("#records button").first.click()
    expect(phone.locator("#evidence-result")).to_contain_text("matches")
    inside = phone.evaluate("document.getElementById('evidence').scrollWidth")
    phone.close()
    assert width <= 390 and inside <= 390
    assert background == "rgb(243, 245, 248)"
    assert refusals == []


# ---- the API ------------------------------------------------------------------------------------


def test_every_record_is_an_entry_of_its_service_s_own_journal(
    up: Up, crash: dict[str, Any]
) -> None:
    timeline = get(up, "/api/v1/timeline?limit=2000")
    journals: dict[str, list[Any]] = {}
    assert timeline["left_off"] == 0
    for record in timeline["records"]:
        source = record["source"]
        if source not in journals:
            lines = httpx.get(up.url[source] + "/journal", timeout=60).content.splitlines()
            journals[source] = [from_ndjson(line) for line in lines]
        entry = journals[source][record["seq"] - 1]
        assert record["hash"] == entry.hash.hex()
        assert record["kind"] == decode(entry.body)[2]
    assert set(journals) == {"market-data", "exchange", "risk-monitor", "test-coordinator"}
    proof = get(up, f"/api/v1/evidence/{source}/{record['seq']}")
    assert (proof["body"].encode(), proof["hash"]) == (entry.body, entry.hash.hex())
    assert proof["previous"] == journals[source][record["seq"] - 2].hash.hex()


def test_the_chain_of_a_fault_is_the_verdict_s(up: Up, crash: dict[str, Any]) -> None:
    (fault,) = get(up, "/api/v1/timeline")["faults"]
    (correlation,) = get(up, "/api/v1/correlations")
    assert correlation == crash["audit"]["correlations"][0]
    assert fault["effect"]["text"] == crash["faults"][0]["evidence"]
    for expected in crash["expectations"]:
        if expected["kind"] == "alert":
            latencies = [
                a["latency_seconds"] for a in fault["alerts"] if a["rule"] == expected["name"]
            ]
            assert expected["latency"] / 1e6 in latencies
    assert fault["detection"]["rule"] == correlation["first_alert_rule"]
    assert fault["ended"]["text"] == "RECOVERED"
    assert fault["recovered"] and fault["responses"]


def test_the_report_is_what_the_verdict_stands_on(up: Up, crash: dict[str, Any]) -> None:
    report, audit = get(up, "/api/v1/report"), crash["audit"]
    assert report["final"] and report["complete"]
    assert (report["root"], report["events"]) == (audit["root"], audit["events"])
    assert (report["coverage"], report["discrepancies"]) == ("100 %", [])


def test_the_ledger_verifies_as_a_journal_does(up: Up, crash: dict[str, Any]) -> None:
    url = up.url[AUDIT_CORRELATOR] + "/api/v1/ledger"
    answer = httpx.get(url)
    entries = [from_ndjson(line) for line in answer.content.splitlines()]
    length, head = verify(entries)
    assert (str(length), head.hex()) == (answer.headers["x-length"], answer.headers["x-head"])
    (report,) = (e for e in entries if decode(e.body)[2] == "AuditReport")
    assert decode(report.body)[3]["root"] == crash["audit"]["root"]
    rest = [from_ndjson(line) for line in httpx.get(f"{url}?after=5").content.splitlines()]
    assert rest == entries[5:]
    assert httpx.get(f"{url}?after={2**62}").content == b""
    later = get(up, "/api/v1/timeline?after=5")["records"]
    assert {r["line"] for r in later if r["line"]} == {
        decode(e.body)[0] for e in entries[5:] if decode(e.body)[2] != "AuditReport"
    }


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("evidence/risk-monitor/1", 404),
        ("evidence/nobody/1", 404),
        ("evidence/risk-monitor/0", 422),
        (f"evidence/{'x' * 61}/1", 422),
        ("timeline?limit=0", 422),
        ("timeline?limit=2001", 422),
        ("ledger?after=-1", 422),
    ],
)
def test_what_there_is_not_is_refused(up: Up, path: str, status: int) -> None:
    answer = httpx.get(f"{up.url[AUDIT_CORRELATOR]}/api/v1/{path}")
    assert answer.status_code == status


def test_events_say_how_far_every_journal_was_read(up: Up, crash: dict[str, Any]) -> None:
    with httpx.stream("GET", up.url[AUDIT_CORRELATOR] + "/events", timeout=20) as answer:
        state = next(event.json() for event in EventSource(answer).iter_sse() if event.data)
    read = set(SERVICES) - {AUDIT_CORRELATOR} | {"network"}
    assert set(state["chains"]) == read
    assert all(c["verified"] and c["read"] for c in state["chains"].values())
    assert state["report"]["root"] == crash["audit"]["root"]


def test_after_a_kill_the_ledger_is_what_it_was(tmp_path: Path, browser: Browser) -> None:
    up = Up(tmp_path / "data")
    page = browser.new_page()
    try:
        judged = verdict_of(up, begin(up, 600), 200)
        wait_for("the end of the run", lambda: "Completed" in phases(up))
        ledger = httpx.get(up.url[AUDIT_CORRELATOR] + "/api/v1/ledger").content
        show(page, up)
        up.stop(signal.SIGKILL)
        expect(page.locator("#connection")).to_contain_text("lost", timeout=SOON)
        up.start()
        expect(page.locator("#connection")).to_have_text("live", timeout=SOON)
        wait_for("the end of the run", lambda: "Completed" in phases(up))
        again = httpx.get(up.url[AUDIT_CORRELATOR] + "/api/v1/ledger").content
        assert again.startswith(ledger)
        expect(page.locator("#root")).to_have_text(judged["audit"]["root"], timeout=SOON)
        code, _ = up.stop()
        assert code == 0
    finally:
        page.close()
        up.stop()
