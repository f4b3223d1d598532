"""Tests a service whose machine has a wrong time of day: it reports that and is not ready."""

from pathlib import Path

import httpx
import pytest

from tests.api.running import wait_for
from tests.serve.processes import Apart
from trading.topology import EXCHANGE, RISK_MONITOR

pytestmark = pytest.mark.timeout(300)

#: A sitecustomize module that shifts the time of day of a Python process.
SHIFT = """
import os, time
_shift = int(os.environ["CLOCK_SHIFT"])
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + _shift
time.time_ns = lambda: _time_ns() + _shift * 10**9
"""


@pytest.mark.parametrize(
    ("shift", "problem_text"), [(-600, "behind those of"), (600, "ahead of those of")]
)
def test_a_wrong_clock_is_noticed(
    fresh: Apart, tmp_path: Path, shift: int, problem_text: str
) -> None:
    """Such a service would stop, or trade in the future of its peers."""
    (tmp_path / "sitecustomize.py").write_text(SHIFT)
    wrong = {"PYTHONPATH": str(tmp_path), "CLOCK_SHIFT": str(shift)}

    def problem() -> str:
        try:
            response = httpx.get(fresh.url[EXCHANGE] + "/ready")
        except httpx.HTTPError:
            return ""
        assert response.status_code == (503 if response.json()["problem"] else 200)
        return str(response.json()["problem"] or "")

    fresh.kill(EXCHANGE)
    fresh.of[EXCHANGE] = wrong
    fresh.begin(EXCHANGE)
    wait_for(f"the exchange to say {problem_text}", lambda: problem_text in problem())

    def noticed() -> str:
        readiness = httpx.get(fresh.url[RISK_MONITOR] + "/ready").json()
        assert readiness["ready"]
        return str(readiness["dependencies"].get("clock of exchange", ""))

    side = "behind ours" if shift < 0 else "ahead of ours"
    assert wait_for("its peer to notice", noticed).endswith(side)

    fresh.kill(EXCHANGE)
    del fresh.of[EXCHANGE]
    fresh.begin(EXCHANGE)
    if shift < 0:
        wait_for("the exchange to be ready", lambda: fresh.linked(EXCHANGE))
    else:
        # Its journal has entries from the future, so it waits.
        wait_for("the exchange to stand still", lambda: "behind the journal" in problem())
