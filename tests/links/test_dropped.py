"""A journal whose oldest entries were dropped: a reader that needs them gets an error, never fewer
entries without one.
"""

import asyncio
from typing import Any

import httpx
import pytest

from trading.hosting import segments
from trading.hosting import store as stores
from trading.hosting.app import create_app
from trading.hosting.host import Host
from trading.hosting.retention import ADDRESSED
from trading.hosting.service_app import AppContext
from trading.hosting.session import Session
from trading.hosting.store import EntriesDropped, MemoryStore
from trading.links.outbound import OutboundLink
from trading.market_data import MarketData
from trading.runtime.journal import from_ndjson
from trading.scenario.plan import RunPlan
from trading.topology import MARKET_DATA, RISK_MONITOR
from trading.units import SECOND

SMALL = 8
PLAN = RunPlan(name="world", seed=3, speed=500, faults=(), expectations=())


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make segments so small that short journals have several."""
    for module in (segments, stores):
        monkeypatch.setattr(module, "SEGMENT_ENTRIES", SMALL)


async def dropped(addressed: bytes) -> tuple[Host, int]:
    """Return the host of market data whose oldest entries were dropped, and the number of the last
    of these. ``addressed`` is the stored note of whom the entries were for.
    """
    host = Host(
        lambda session: [MarketData(PLAN.universe, 3, tick=PLAN.tick)],
        MemoryStore(),
        idle=lambda: Session(plan=PLAN, key="world"),
        sender=lambda items: None,
    )
    await host.start()
    await host.committed(host.clock.now() + 30 * SECOND)
    host.store.seal(1, 100)
    host.store.put(ADDRESSED, f"1/{MARKET_DATA}", addressed)
    host.store.drop(1, MARKET_DATA, 2 * SMALL)
    return host, 2 * SMALL


async def first_message(host: Host, peer: str, after: int) -> Any:
    """Return the first message on a link to a peer that has received entries up to ``after``."""
    stream: Any = OutboundLink(host, peer, {MARKET_DATA: after}).messages()
    try:
        async with asyncio.timeout(5):
            return await anext(stream)
    finally:
        await stream.aclose()


def test_a_peer_that_missed_nothing_goes_on_after_what_is_gone() -> None:
    async def run() -> None:
        host, last = await dropped(b'{"risk-monitor": 5}')
        text = await first_message(host, RISK_MONITOR, 5)
        assert f'["{MARKET_DATA}",{last + 1},'.encode() in text[:200]
        await host.stop()

    asyncio.run(run())


@pytest.mark.parametrize("addressed", [b'{"risk-monitor": 6}', b'{"*": 16}'])
def test_a_peer_that_missed_something_is_not_told_the_rest(addressed: bytes) -> None:
    async def run() -> None:
        host, _ = await dropped(addressed)
        with pytest.raises(EntriesDropped, match="entries 6 to 16: dropped"):
            await first_message(host, RISK_MONITOR, 5)
        await host.stop()

    asyncio.run(run())


def test_the_journal_answers_410_where_it_has_nothing_any_more() -> None:
    async def run() -> None:
        host, last = await dropped(b"{}")
        app = create_app(AppContext(MARKET_DATA, host), title="Market data", description=".")
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            early = await client.get("/journal", params={"after": 3})
            rest = await client.get("/journal", params={"after": last})
        assert early.status_code == 410
        assert f"entries 4 to {last}: dropped" in early.json()["detail"]
        assert "trading archive" in early.json()["detail"]
        lines = rest.content.splitlines()
        assert from_ndjson(lines[0]).body.startswith(b"[%d," % (last + 1))
        await host.stop()

    asyncio.run(run())


def test_a_damaged_journal_is_no_short_one() -> None:
    async def run() -> None:
        host, last = await dropped(b"{}")
        store: Any = host.store
        store._bodies[1, MARKET_DATA][2] = b"x"
        app = create_app(AppContext(MARKET_DATA, host), title="Market data", description=".")
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            response = await client.get("/journal", params={"after": last})
        assert response.status_code == 500
        assert f"entries {last + 1} to {last + SMALL}: damaged" in response.json()["detail"]
        await host.stop()

    asyncio.run(run())
