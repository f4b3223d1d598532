"""The control run leaves out what only evidence needs: journals and the auditor."""

from typing import Any

import msgspec
import pytest

from trading.embedded.api import load_scenario
from trading.embedded.ecosystem import build
from trading.embedded.run import run_without_faults
from trading.messages.risk import AlertFired, BreakerChanged
from trading.units import MINUTE

#: Limits that a quiet market exceeds.
TIGHT = {"controls.limits": "{price-move: 0.01 %, drawdown: 0.001 %}"}


@pytest.mark.parametrize("name", ["market-crash", "strategy-malfunction"])
def test_it_has_the_signals_of_a_whole_run_without_faults(name: str) -> None:
    plan = load_scenario(name, overrides=TIGHT).plan
    until = plan.start + 10 * MINUTE
    signals: list[Any] = []
    whole, _ = build(
        msgspec.structs.replace(plan, faults=()),
        taps={kind: lambda m, now: signals.append(m) for kind in (AlertFired, BreakerChanged)},
    )
    whole.run(until)
    alerts, changes = run_without_faults(plan, until)
    assert alerts and changes
    assert [s for s in signals if isinstance(s, AlertFired)] == alerts
    assert [s for s in signals if isinstance(s, BreakerChanged)] == changes
