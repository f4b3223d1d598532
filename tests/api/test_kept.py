"""`trading audit verify` checks a data directory session by session and finds every change."""

import json
import shutil
import sqlite3
import subprocess
import zlib
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.api.load import RESTING
from tests.api.running import Up, quoted, wait_for
from tests.forked import command
from trading.hosting.sqlite import SqliteStore
from trading.topology import SERVICES

JOURNAL = "journal.sqlite"
Change = Callable[[sqlite3.Connection], None]


@pytest.fixture(scope="module")
def stopped_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory of an ecosystem with an order of a client, a run, and some
    time after it.
    """
    data = tmp_path_factory.mktemp("kept") / "data"
    up = Up(data)
    try:
        wait_for("a book", lambda: quoted(up))
        assert up.exchange.order(**RESTING).status_code == 200
        with up.coordinator() as coordinator:
            run = coordinator.post("/runs", json={"scenario": "exchange-downtime"}).json()["id"]
            wait_for("the verdict", lambda: coordinator.get(f"/runs/{run}").json()["verdict"], 120)
        up.stop(9)
        up.start()
    finally:
        up.stop()
    store = SqliteStore(data / JOURNAL)
    # The ecosystem seals in the background; how far it came depends on the machine. Seal the rest.
    while store.seal(2, 100):
        pass
    store.close()
    yield data


def verified(*arguments: object) -> subprocess.CompletedProcess[str]:
    return command("audit", "verify", *map(str, arguments), timeout=200)


def test_what_was_kept_holds(stopped_data: Path) -> None:
    done = verified("--data", stopped_data)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "in 2 sessions: every chain holds" in done.stdout


def body(database: sqlite3.Connection, session: int, source: str, seq: int) -> bytes:
    sql = "SELECT body FROM entry WHERE session=? AND source=? AND seq=?"
    (stored,) = database.execute(sql, (session, source, seq)).fetchone()
    return zlib.decompress(stored) if stored[:1] == b"x" else stored


def unsealed(data: Path) -> None:
    """Turn the first session's sealed entries back into rows, as a patient attacker could."""
    store = SqliteStore(data / JOURNAL)
    journals = {source: store.read(1, source, 0, 100_000) for source in (*SERVICES, "network")}
    store.close()
    with sqlite3.connect(data / JOURNAL) as database:
        for table in ("segment", "entry"):
            database.execute(f"DELETE FROM {table} WHERE session=1")  # noqa: S608 - two names
        for source, entries in journals.items():
            rows = [(1, source, seq, e.body, e.hash) for seq, e in enumerate(entries, 1)]
            database.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", rows)


def a_segment(database: sqlite3.Connection) -> None:
    (stored,) = database.execute(
        "SELECT body FROM segment WHERE session=1 AND source='exchange'"
    ).fetchone()
    text = bytearray(stored)
    text[len(text) // 2] ^= 1
    database.execute(
        "UPDATE segment SET body=? WHERE session=1 AND source='exchange'",
        (bytes(text),),
    )


def a_price(database: sqlite3.Connection) -> None:
    """Change an entry, but not its hash."""
    changed = body(database, 1, "exchange", 2).replace(b"1", b"2", 1)
    database.execute(
        "UPDATE entry SET body=? WHERE session=1 AND source='exchange' AND seq=2", (changed,)
    )


def a_chain_made_again(database: sqlite3.Connection) -> None:
    """Change an order of a client, and recompute all hashes after it."""
    rows = database.execute(
        "SELECT seq FROM entry WHERE session=1 AND source='exchange' ORDER BY seq"
    ).fetchall()
    head = bytes(32)
    for (seq,) in rows:
        text = body(database, 1, "exchange", seq)
        if b'"ExecutionReport",{' in text and b"firm-api" in text:
            text = text.replace(b'"qty":', b'"qty":1', 1)
        head = sha256(head + text).digest()
        database.execute(
            "UPDATE entry SET body=?, hash=? WHERE session=1 AND source='exchange' AND seq=?",
            (text, head, seq),
        )


def an_empty_journal(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM entry WHERE session=1 AND source='custodian'")


def a_missing_entry(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM entry WHERE session=1 AND source='market-data' AND seq=3")


def a_missing_session(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM session WHERE number=1")


def a_run_cut_short(database: sqlite3.Connection) -> None:
    verdict = json.loads(
        database.execute("SELECT body FROM document WHERE kind='verdict'").fetchone()[0]
    )
    last = verdict["audit"]["journals"]["custodian"]["events"]
    database.execute("DELETE FROM entry WHERE session=2 AND source='custodian' AND seq>=?", (last,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (a_segment, "journal of exchange, entries 1 to"),
        (a_price, "session 1: exchange: entry 2: hash does not match"),
        (a_chain_made_again, "session 1: exchange: replay ends at"),
        (an_empty_journal, "session 1: custodian: its journal is empty or missing"),
        (a_missing_entry, "session 1: market-data: entry 3"),
        (a_missing_session, "sessions 1 to 1 are missing"),
        (a_run_cut_short, "session 2: custodian: the verdict is about"),
    ],
)
def test_a_change_is_found(
    stopped_data: Path, tmp_path: Path, change: Change, message: str
) -> None:
    data = tmp_path / "data"
    shutil.copytree(stopped_data, data)
    if change is not a_segment:
        unsealed(data)
    with sqlite3.connect(data / JOURNAL) as database:
        change(database)
        assert database.total_changes > 0
    done = verified("--data", data)
    assert done.returncode == 1, done.stdout + done.stderr
    assert message in done.stdout
    assert done.stdout.endswith("the journals do not hold\n")


def test_it_says_what_it_needs(stopped_data: Path, tmp_path: Path) -> None:
    for arguments, message in (
        ((), "give one of"),
        ((stopped_data, "--data", stopped_data), "give one of"),
        (("--data", tmp_path), "no journals there"),
        (
            ("--data", stopped_data, "--root", "0" * 64),
            "--root and --public-key are for the report",
        ),
    ):
        done = verified(*arguments)
        assert done.returncode == 2 and message in done.stderr, done.stderr
