"""The example monitors notice a crash, and are quiet in a quiet market."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import msgspec
import pytest

from tests.environments import interpreter, with_project
from tests.repository.markdown import ROOT
from trading.scenario.result import AlertOutcome, Outcome, Verdict

PYTHON = f"exec:{sys.executable} examples/monitors/01_thresholds.py"


def judged(monitor: str, *words: str, python: str = sys.executable) -> Verdict:
    """Run market-crash with one of the examples as its monitor `desk`."""
    words = ("run", "market-crash", "--json", *words)
    done = subprocess.run(
        [python, "-m", "trading.cli", *words, "--monitor", f"desk={monitor}"],
        cwd=ROOT,
        env=with_project(),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.stdout, done.stderr
    return msgspec.json.decode(done.stdout, type=Verdict)


def any_alert(monitor: str, python: str = sys.executable) -> Verdict:
    """Run market-crash, in which any alert of this monitor is expected within two minutes."""
    expected = "expect=[{alert: '*', of: crash, within: 2m}]"
    return judged(monitor, "--set", "monitors=[desk]", "--set", expected, python=python)


@cache
def with_thresholds() -> Verdict:
    return judged(PYTHON)


def alerts(verdict: Verdict) -> list[AlertOutcome]:
    """Return the alerts of the example."""
    return [alert for alert in verdict.alerts if alert.monitor]


def test_thresholds_meet_the_shipped_expectations() -> None:
    verdict = with_thresholds()
    assert (verdict.outcome, verdict.reasons) == (Outcome.PASS, ())
    assert {alert.rule for alert in alerts(verdict)} == {"drawdown", "price-move"}


def test_thresholds_in_javascript_say_the_same() -> None:
    if shutil.which("node") is None:
        assert not os.environ.get("REQUIRE_BROWSER"), "CI runs this test: install nodejs"
        pytest.skip("there is no Node.js: apt-get install nodejs")
    verdict = judged("exec:node examples/monitors/02_thresholds.mjs")
    assert alerts(verdict) == alerts(with_thresholds()) and verdict.outcome == Outcome.PASS


def test_the_z_score_notices_the_crash_and_nothing_else() -> None:
    verdict = any_alert("examples.monitors.03_zscore:ZScore")
    assert (verdict.outcome, verdict.reasons) == (Outcome.PASS, ())
    assert {alert.labels["subject"] for alert in alerts(verdict)} == {"BTC", "ETH", "SOL"}
    assert verdict.monitors[0].unexpected == 0


def test_the_z_score_has_no_other_names_for_it() -> None:
    """Whoever expects a drawdown of it learns that it looks at prices only."""
    verdict = judged("examples.monitors.03_zscore:ZScore")
    assert verdict.outcome == Outcome.FAIL
    assert verdict.reasons == ("alert drawdown by desk: never came",)


@pytest.mark.clients
@pytest.mark.timeout(600)
def test_the_anomaly_detector_notices_the_crash_and_nothing_else() -> None:
    """With river, in a virtual environment of its own, since it brings scipy."""
    python = interpreter("river", Path(__file__).parent / "requirements-river.txt")
    verdict = any_alert("examples.monitors.04_anomaly:Anomaly", python)
    assert (verdict.outcome, verdict.reasons) == (Outcome.PASS, ())
    assert "unusual-return" in {alert.rule for alert in alerts(verdict)}
    assert verdict.monitors[0].unexpected == 0
