"""The state of an ecosystem with all its APIs can be stored in a snapshot and restored from it."""

import asyncio

import pytest

from trading.embedded.api import load_scenario
from trading.hosting import snapshot
from trading.hosting.host import Host
from trading.hosting.session import Session
from trading.hosting.settings import load_settings
from trading.hosting.store import MemoryStore
from trading.server.service_specs import SERVICE_SPECS, build_components, idle_session
from trading.topology import AUDIT_CORRELATOR

KEY = b"outside the database"


@pytest.mark.parametrize("scenario", ["feed-disruption", "exchange-downtime"])
def test_the_state_of_a_run_can_be_read_again(scenario: str) -> None:
    """If a class were missing in the list of state, every restart would have to replay from the
    start.
    """
    plan = load_scenario(scenario).plan
    settings = load_settings({"journal": "memory"})

    async def run() -> None:
        parts = SERVICE_SPECS.values()
        host = Host(
            build_components,
            MemoryStore(),
            idle=lambda: idle_session(settings, plan.start, None),
            projections={
                n: build_components
                for part in parts
                for n, build_components in part.projections.items()
            },
            published={kind for part in parts for kind in part.published},
            auditor=AUDIT_CORRELATOR,
            snapshot_key=KEY,
        )
        await host.start()
        await host.open(Session(plan=plan, run_id=scenario, journal=plan.journal_id))
        while not host.run_over:
            await asyncio.sleep(0.2)
            frozen = host.live.take_snapshot()
            blob = snapshot.verified(frozen.blob, KEY, host.session_number, frozen.heads)
            restored = snapshot.load(blob)
            assert restored["projections"].keys() == host.live.projections.keys()
        await host.stop()

    asyncio.run(run())
