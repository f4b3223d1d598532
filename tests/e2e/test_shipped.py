"""The shipped scenarios in a cluster, by the command of docs/guides/kind.md. Each is applied
unchanged and must Pass with the journals of the embedded run. `make e2e` runs three of them; all
ten:

    SCENARIOS=all make e2e ARGS="-k shipped"
"""

import os
import time
from collections.abc import Iterator

import pytest

from tests.api.running import wait_for
from tests.e2e.deployment import ROOT, ready
from tests.e2e.operator import Release, as_embedded
from trading.embedded.library import shipped
from trading.scenario.result import Verdict
from trading.topology import SERVICES
from trading.units import SECOND

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

_FEW = ("exchange-downtime", "market-crash", "strategy-malfunction")
NAMES = tuple(shipped()) if os.environ.get("SCENARIOS") == "all" else _FEW


@pytest.fixture
def removed(release: Release) -> Iterator[list[str]]:
    """Names of resources that are deleted after the test."""
    names: list[str] = []
    yield names
    for name in names:
        release.kubectl("delete", "chaos", name, "--ignore-not-found", "--timeout=120s")


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_scenario_passes_as_it_is(
    release: Release, removed: list[str], name: str
) -> None:
    began = time.monotonic()
    release.apply(ROOT / "scenarios" / f"{name}.yaml")
    removed.append(name)
    status = release.passes(name, 1500)
    wall = time.monotonic() - began
    verdict: Verdict = as_embedded(status, name)
    simulated = (verdict.ended_at - verdict.started_at) / SECOND
    print(
        f"\n{name}: kubectl apply to verdict {wall:.1f} s, {simulated / wall:.0f} simulated seconds"
        f" per second; waited: {release.waited(str(status['run']))}",
        flush=True,
    )


def test_a_fifth_of_a_core_for_each_service_gives_the_same(
    release: Release, removed: list[str]
) -> None:
    """No alert fires because a machine is slow."""
    starved = {
        "requests": {"cpu": "50m", "memory": "96Mi"},
        "limits": {"cpu": "200m", "memory": "768Mi"},
    }
    try:
        release.install(services={name: {"resources": starved} for name in SERVICES})
        wait_for("the links", lambda: all(ready(name) for name in SERVICES), 300)
        release.apply(ROOT / "scenarios" / "exchange-downtime.yaml")
        removed.append("exchange-downtime")
        as_embedded(release.ends("exchange-downtime", 1500), "exchange-downtime")
    finally:
        release.install()
