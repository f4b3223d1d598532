"""A service whose journal has less than the others have heard of it."""

import sqlite3
from pathlib import Path

import httpx

from tests.api.running import wait_for
from tests.api.test_kept import verified
from tests.serve.processes import Apart
from trading.hosting.sqlite import SqliteStore
from trading.topology import EXCHANGE, SERVICES


def cut(services: Apart, after: int) -> None:
    """Take the exchange's newest entries away, and with them the snapshot that is newer."""
    with sqlite3.connect(services.data / "exchange.sqlite") as database:
        sql = "DELETE FROM entry WHERE source = 'exchange' AND seq > ?"
        assert database.execute(sql, (after,)).rowcount > 0
        database.execute("DELETE FROM snapshot")


def boundary(services: Apart) -> int:
    """Wait for some trading; an entry in the middle after which the exchange received something."""
    wait_for("some trading", lambda: len(services.journal(EXCHANGE)) > 200)
    entries = services.journal(EXCHANGE)
    return int(next(e[0] for e in entries[len(entries) // 2 :] if e[2] == "Received") - 1)


def problems(services: Apart, name: str) -> str:
    """What keeps a service from being ready; empty while it does not answer."""
    try:
        found = httpx.get(services.url[name] + "/ready").json()["dependencies"]
    except (httpx.HTTPError, ValueError):
        return ""
    return " ".join(found.values())


def drop_copies(data: Path) -> None:
    """As retention does with what the auditor has read of the exchange's journal."""
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
        held = verified("--data", services.data)
        assert held.returncode == 0, held.stdout
        assert "audit-correlator, session 1: note: journal of exchange, entries 1 to" in held.stdout

        cut(services, middle)
        # By the second place.
        services.begin(EXCHANGE)
        assert services.process[EXCHANGE].wait(60) == 2
        last = services.log(EXCHANGE).splitlines()[-1]
        assert "journal of exchange, session 1" in last and "--accept-loss" in last
        # By what the others have heard, where that was made to agree.
        (services.data / "exchange.heads").unlink()
        with sqlite3.connect(services.data / "exchange.sqlite") as database:
            assert database.execute("DELETE FROM document WHERE kind='second place'").rowcount
        found = verified("--data", services.data)
        assert found.returncode == 1
        assert "has heard" in found.stdout and "exchange, session idle: " in found.stdout
        # And by those, when they meet it again.
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

        def said() -> bool:
            try:
                return "LOST" in {found["kind"] for found in httpx.get(audit).json()}
            except (httpx.HTTPError, ValueError):
                return False

        wait_for("the audit to say so", said)
    finally:
        services.stop()
