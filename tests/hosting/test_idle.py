"""Between runs an idle market writes little, and continues from what it wrote before."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from trading.hosting.host import Host
from trading.hosting.session import Session
from trading.hosting.settings import Settings
from trading.hosting.sqlite import SqliteStore
from trading.runtime.journal import decode
from trading.runtime.kernel import Kernel
from trading.scenario.plan import ClockMode, RunPlan
from trading.server.service_specs import build_components, idle_session
from trading.test_coordinator import IdleCoordinator
from trading.topology import AUDIT_CORRELATOR, TEST_COORDINATOR
from trading.units import MINUTE, SECOND

PLAN = RunPlan(name="idle", clock_mode=ClockMode.WALL, speed=600, faults=(), expectations=())


def traded(minutes: int) -> Kernel:
    session = idle_session(Settings(), 1_700_000_000 * SECOND)
    kernel = Kernel(
        build_components(session),
        start=session.plan.start,
        run_id=session.journal_id,
        auditor=AUDIT_CORRELATOR,
    )
    kernel.run(session.plan.start + minutes * MINUTE)
    return kernel


def test_the_coordinator_does_not_journal_a_market_that_it_does_not_watch() -> None:
    kernel = traded(10)
    entries = [decode(entry.body) for entry in kernel.journals[TEST_COORDINATOR].after(0)]
    assert {m["msg"] for _, _, _, payload in entries for m in payload} == {"Start", "Wake"}
    assert len(entries) == 601


def test_an_idle_market_writes_little() -> None:
    kernel = traded(20)
    written = sum(len(e.body) for j in kernel.journals.values() for e in j.after(0))
    assert 5_000 < written / (20 * 60) < 13_500


def test_the_auditor_orders_what_it_reads_without_waiting_for_the_coordinator() -> None:
    auditor: Any = traded(10).component(AUDIT_CORRELATOR)
    assert auditor.timeline.waiting == 0
    assert auditor.discrepancies() == []
    reached = auditor.timeline.read_to
    assert max(reached.values()) - reached[TEST_COORDINATOR] < 2 * SECOND


def test_a_session_of_before_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older version's coordinator journaled the whole market; its replay does the same."""

    def host() -> Host:
        return Host(
            build_components,
            SqliteStore(tmp_path / "journal.sqlite"),
            idle=lambda: Session(plan=PLAN),
            auditor=AUDIT_CORRELATOR,
        )

    async def run() -> None:
        with monkeypatch.context() as before:
            before.setattr(IdleCoordinator, "ignores", frozenset())
            older = host()
            await older.start()
            await older.committed(PLAN.start + 2 * MINUTE)
            await older.stop()
        length = older.kernel.journals[TEST_COORDINATOR].length
        newer = host()
        newer.store._writer.execute("DELETE FROM snapshot")  # type: ignore[attr-defined]
        await newer.start()
        assert newer.kernel.journals[TEST_COORDINATOR].length >= length > 300
        await newer.committed(newer.kernel.now + MINUTE)
        await newer.stop()
        store = SqliteStore(tmp_path / "journal.sqlite")
        later = store.read(1, TEST_COORDINATOR, length + 5, 1000)
        store.close()
        received = [m["msg"] for entry in later for m in decode(entry.body)[3]]
        assert received
        assert set(received) == {"Wake"}

    asyncio.run(run())
