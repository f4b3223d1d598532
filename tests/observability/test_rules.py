"""Prometheus's promtool accepts the generated alert rules, and their unit tests pass."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tools.alert_rules import PATH, TESTS, texts
from trading.risk_monitor.rules import RULES

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def promtool() -> str:
    """Return the path of promtool; skip the test without it, or fail it in CI."""
    path = shutil.which("promtool")
    if path is None:
        why = "promtool (Debian: prometheus) is not on this machine: the rules were not run"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    return path


def test_every_risk_rule_has_an_alert_of_its_severity() -> None:
    groups = yaml.safe_load(texts()[PATH])["groups"]
    severities = {
        r["labels"].get("rule"): r["labels"]["severity"] for g in groups for r in g["rules"]
    }
    severities.pop(None)
    assert severities == {rule.name: rule.severity for rule in RULES.values()}


def test_prometheus_takes_the_rules(promtool: str) -> None:
    result = subprocess.run(
        [promtool, "check", "rules", ROOT / PATH], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_alert_fires_in_time_and_not_before(promtool: str) -> None:
    result = subprocess.run(
        [promtool, "test", "rules", ROOT / TESTS], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_an_alert_that_waits_too_long_would_be_noticed(promtool: str, tmp_path: Path) -> None:
    slow = (ROOT / PATH).read_text().replace("for: 30s", "for: 35s")
    (tmp_path / "rules.yml").write_text(slow)
    tests = (ROOT / TESTS).read_text().replace("../../" + str(PATH), str(tmp_path / "rules.yml"))
    (tmp_path / "tests.yml").write_text(tests)
    result = subprocess.run(
        [promtool, "test", "rules", tmp_path / "tests.yml"], capture_output=True, text=True
    )
    assert result.returncode != 0 and "ServiceDown" in result.stdout + result.stderr
