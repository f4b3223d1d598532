"""Tests a service whose journal has fewer entries than other services received from it."""

import sqlite3
from pathlib import Path

import httpx

from tests.api.running import wait_for
from tests.api.test_kept import verified
from tests.serve.processes import Apart
from trading.hosting.sqlite import SqliteStore
from trading.topology import EXCHANGE, SERVICES


def cut(services: Apart, after: int) -> None:
    """Delete the exchange's entries after number ``after``, and its snapshots."""
    with sqlite3.connect(services.data / "exchange.sqlite") as database:
        sql = "DELETE FROM entry WHERE source = 'exchange' AND seq > ?"
        assert database.execute(sql, (after,)).rowcount > 0
        database.execute("DELETE FROM snapshot")


def boundary(services: Apart) -> int:
    """Wait for some trading, and return the number of an entry in the middle of the journal.

    The next entry is one that the exchange received.
    """
    wait_for("some trading", lambda: len(services.journal(EXCHANGE)) > 200)
    entries = services.journal(EXCHANGE)
    return int(next(e[0] for e in entries[len(entries) // 2 :] if e[2] == "Received") - 1)


def problems(services: Apart, name: str) -> str:
    """Return why a service is not ready; empty while it does not answer."""
    try:
        dependencies = httpx.get(services.url[name] + "/ready").json()["dependencies"]
    except (httpx.HTTPError, ValueError):
        return ""
    return " ".join(dependencies.values())


def drop_copies(data: Path) -> None:
    """Drop the auditor's copies of the exchange's journal, as retention does."""
    store = SqliteStore(data / "audit-correlator.sqlite")
    while store.seal(2, 100):
        pass
    assert store.drop(1, EXCHANGE, 10**9) > 0
    store.close()


def answers(services: Apart, name: str) -> bool:
    try:
        return httpx.get(services.url[name] + "/health").is_success
    except httpx.HTTPError:
        return False


def test_a_shorter_journal_is_noticed_in_three_ways(tmp_path: Path) -> None:
    services = Apart(tmp_path / "data")
    try:
        services.start()
        middle = boundary(services)
        services.stop()
        drop_copies(services.data)
        result = verified("--data", services.data)
        assert result.returncode == 0, result.stdout
        assert (
            "audit-correlator, session 1: note: journal of exchange, entries 1 to" in result.stdout
        )

        cut(services, middle)
        # First, by the heads file.
        services.begin(EXCHANGE)
        assert services.process[EXCHANGE].wait(60) == 2
        last = services.log(EXCHANGE).splitlines()[-1]
        assert "journal of exchange, session 1" in last and "--accept-loss" in last
        # Second, without the recorded heads, by what other services received.
        (services.data / "exchange.heads").unlink()
        with sqlite3.connect(services.data / "exchange.sqlite") as database:
            assert database.execute("DELETE FROM document WHERE kind='second place'").rowcount
        second_result = verified("--data", services.data)
        assert second_result.returncode == 1
        assert (
            "has heard" in second_result.stdout
            and "exchange, session idle: " in second_result.stdout
        )
        # Third, by the other services when their links open again.
        for name in SERVICES:
            services.begin(name)
        wait_for("the exchange", lambda: "entries were lost" in problems(services, EXCHANGE))
        wait_for("the others", lambda: all(answers(services, name) for name in SERVICES))
        run_id = services.run("exchange-downtime")
        assert services.verdict(run_id)["outcome"] == "Pass"
        for name in SERVICES:
            wait_for(f"{name} to be ready", lambda name=name: services.linked(name))
    finally:
        services.stop()


def test_an_accepted_loss_of_one_service_is_in_the_audit(tmp_path: Path) -> None:
    services = Apart(tmp_path / "data", of={EXCHANGE: {"ACCEPT_LOSS": "true"}})
    try:
        services.start()
        middle = boundary(services)
        services.stop()
        cut(services, middle)
        for name in SERVICES:
            services.begin(name)
        audit = services.url["audit-correlator"] + "/api/v1/findings"

        def is_reported() -> bool:
            try:
                return "LOST" in {finding["kind"] for finding in httpx.get(audit).json()}
            except (httpx.HTTPError, ValueError):
                return False

        wait_for("the audit to say so", is_reported)
    finally:
        services.stop()
