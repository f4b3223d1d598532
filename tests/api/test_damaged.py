"""A data directory that cannot be used is reported in one line, and is not changed."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.api.running import Up, free_offset, quoted, wait_for
from tests.forked import command

JOURNAL = "journal.sqlite"


@pytest.fixture(scope="module")
def stopped_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory of an ecosystem that ran for a while and was stopped."""
    data = tmp_path_factory.mktemp("kept") / "data"
    up = Up(data)
    wait_for("a book", lambda: quoted(up))
    code, output = up.stop()
    assert code == 0 and "stopped; everything is kept" in output
    yield data


def no_database(data: Path) -> None:
    (data / JOURNAL).write_bytes(b"not a database" * 1000)


def garbage_in_the_middle(data: Path) -> None:
    with (data / JOURNAL).open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(8 * 4096))


def cut_off(data: Path) -> None:
    os.truncate(data / JOURNAL, 5000)


def a_directory(data: Path) -> None:
    (data / JOURNAL).unlink()
    (data / JOURNAL).mkdir()


def a_lock_that_is_none(data: Path) -> None:
    (data / (JOURNAL + ".lock")).unlink()
    (data / (JOURNAL + ".lock")).mkdir()


def statement(sql: str, *parameters: int) -> Callable[[Path], None]:
    def change(data: Path) -> None:
        with sqlite3.connect(data / JOURNAL) as database:
            assert database.execute(sql, parameters).rowcount > 0

    return change


DAMAGES = {
    "no database": no_database,
    "garbage in the middle": garbage_in_the_middle,
    "cut off": cut_off,
    "a directory instead of the file": a_directory,
    "a directory instead of the lock": a_lock_that_is_none,
    "a session that is none": statement("UPDATE session SET spec = x'7b'"),
    "a session of something else": statement("""UPDATE session SET spec = '{"plan":{}}'"""),
    "heads that are none": statement("UPDATE snapshot SET heads = '[1,2'"),
    "entries that are none": statement(
        "UPDATE entry SET body = x'78ffff' WHERE source = 'exchange'"
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_directory_is_one_line(stopped_data: Path, tmp_path: Path, damage: str) -> None:
    """The attempt changes nothing in the directory."""
    data = tmp_path / "data"
    shutil.copytree(stopped_data, data)
    if damage == "entries that are none":
        with sqlite3.connect(data / JOURNAL) as database:
            database.execute("DELETE FROM snapshot")
    DAMAGES[damage](data)
    credentials = (data / "credentials.json").read_bytes()
    environment = {"PORT_OFFSET": str(free_offset())}
    done = command("up", "--data", str(data), env=environment, cwd=tmp_path, timeout=600)
    assert done.returncode == 2, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(f"{data}: "), lines
    assert "Traceback" not in done.stderr and "everything is kept" not in done.stdout
    assert (data / "credentials.json").read_bytes() == credentials


@pytest.mark.parametrize("port", ["same", "other"])
def test_a_second_one_leaves_the_first_its_credentials(tmp_path: Path, port: str) -> None:
    """The second process fails to start, because of its ports or of the lock on the journal; the
    credentials that it was started with are not stored.
    """
    first = Up(tmp_path / "data")
    try:
        before = (first.data / "credentials.json").read_bytes()
        credentials = {"API_KEY": "k" * 32, "API_SECRET": "s" * 32, "CHAOS_TOKEN": "c" * 32}
        offset = first.offset if port == "same" else free_offset()
        environment = {**credentials, "PORT_OFFSET": str(offset)}
        done = command("up", "--data", str(first.data), env=environment, cwd=tmp_path, timeout=600)
        assert done.returncode == 2, done.stderr
        assert (first.data / "credentials.json").read_bytes() == before
        assert first.exchange.signed("GET", "account").status_code == 200
    finally:
        first.stop()


def test_what_it_was_given_is_kept_once_it_has_started(tmp_path: Path) -> None:
    credentials = {"API_KEY": "k" * 32, "API_SECRET": "s" * 32}
    Up(tmp_path / "data").stop()
    second = Up(tmp_path / "data", **credentials)
    try:
        assert second.credentials["api_key"] == credentials["API_KEY"]
        assert second.exchange.signed("GET", "account").status_code == 200
    finally:
        second.stop()
