"""Hold your limits against scenarios in your own test suite.

    pytest examples/programs/test_04_risk_controls.py

A run takes about a second, opens no socket and writes no file.
"""

import pytest

from trading.embedded.api import run


@pytest.mark.parametrize("scenario", ["market-crash", "exchange-downtime"])
def test_trouble_is_noticed_in_time(scenario: str) -> None:
    verdict = run(scenario)
    assert verdict.outcome == "Pass", verdict.reasons


def test_a_monitor_without_its_venue_check_fails() -> None:
    """Prove that the test above can fail: it is this rule that notices the outage."""
    verdict = run("exchange-downtime", overrides={"controls.disable": "[venue-down]"})
    assert verdict.outcome == "Fail"


def test_a_drawdown_is_noticed_within_two_minutes() -> None:
    verdict = run("market-crash", seed=11)
    drawdown = next(e for e in verdict.expectations if e.name == "drawdown")
    assert drawdown.met and drawdown.latency <= 120_000_000  # microseconds of simulated time
