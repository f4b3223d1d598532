"""What a host does in a session whose time another process decides on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from trading.hosting.host import Host
from trading.hosting.session import Session
from trading.hosting.store import MemoryStore
from trading.market_data import MarketData
from trading.messages.market import AnchorObserved
from trading.scenario.plan import RunPlan
from trading.topology import MARKET_DATA

PLAN = RunPlan(name="world", seed=3, faults=(), expectations=())
RUN = Session(plan=PLAN, run_id="a-run", key="a-run")


class Driver:
    """Counts the inputs that wait for it."""

    def __init__(self) -> None:
        self.inputs = 0
        self.processed = False

    def on_input(self) -> None:
        self.inputs += 1

    def caught_up(self, before: int) -> bool:
        return self.processed


@asynccontextmanager
async def started() -> AsyncIterator[Host]:
    """Run a host of market data in a virtual run with other processes."""
    running = Host(
        lambda session: [MarketData(PLAN.universe, 3, tick=PLAN.tick)],
        MemoryStore(),
        idle=lambda: RUN,
        sender=lambda items: None,
    )
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


def test_a_session_in_lockstep_is_over_when_another_takes_its_place() -> None:
    async def run() -> None:
        async with started() as running:
            first = running.live
            assert running.in_lockstep and not first.lockstep_over
            await running.open(RUN)
            assert first.lockstep_over and first.in_lockstep
            assert running.in_lockstep and not running.live.lockstep_over

    asyncio.run(run())


def test_a_session_in_lockstep_is_over_when_its_time_follows_the_wall_clock() -> None:
    async def run() -> None:
        async with started() as running:
            assert not running.left_lockstep
            running.set_speed(1)
            assert running.live.lockstep_over and running.left_lockstep

    asyncio.run(run())


def test_inputs_wait_for_the_driver_of_a_session() -> None:
    async def run() -> None:
        async with started() as running:
            assert running.caught_up(PLAN.start)
            driver = Driver()
            running.drive(driver)
            assert not running.caught_up(PLAN.start)
            driver.processed = True
            assert running.caught_up(PLAN.start)
            ticket = running.send(MARKET_DATA, AnchorObserved("BTC", 1, "a", 0, False))
            assert driver.inputs == 1 and running.has_inputs and ticket.at is None
            assert running.place_inputs(PLAN.start + 5) and ticket.at == PLAN.start + 5

    asyncio.run(run())
