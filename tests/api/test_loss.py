"""If acknowledged entries are missing, the ecosystem does not start until the loss is accepted."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.load import RESTING
from tests.api.running import Up, free_offset, quoted, wait_for
from tests.api.test_damaged import JOURNAL, statement
from tests.forked import command


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory of an ecosystem that was killed after it acknowledged orders: many of them
    are only in SQLite's write-ahead log.
    """
    data = tmp_path_factory.mktemp("killed") / "data"
    up = Up(data)
    wait_for("a book", lambda: quoted(up))
    for _ in range(20):
        assert up.exchange.order(**RESTING).status_code == 200
    up.stop(9)
    yield data


def a_bit_in_the_log(data: Path) -> None:
    """Flip a bit. SQLite silently drops this frame of the log and every one after it. Behind the
    newest frames there may be older ones with another salt; see sqlite.org/fileformat2.html.
    """
    log = data / f"{JOURNAL}-wal"
    text = bytearray(log.read_bytes())
    frame = 24 + int.from_bytes(text[8:12], "big")
    salt = text[16:24]
    starts = range(32, len(text) - frame + 1, frame)
    newest = [at for at in starts if text[at + 8 : at + 16] == salt]
    text[newest[len(newest) * 3 // 4] + 100] ^= 1
    log.write_bytes(text)


def no_log(data: Path) -> None:
    (data / f"{JOURNAL}-wal").unlink()
    (data / f"{JOURNAL}-shm").unlink(missing_ok=True)


def no_database(data: Path) -> None:
    for file in data.glob(f"{JOURNAL}*"):
        file.unlink()


def no_newest_entry(data: Path) -> None:
    """Delete the newest acknowledged entry of the risk monitor. A process that is killed may have
    written entries that were not acknowledged yet; losing those is no loss.
    """
    copies = (data / "journal.heads").read_bytes()
    notes = [json.loads(copy[copy.index(b"{") :]) for copy in (copies[:4096], copies[4096:])]
    acknowledged, _ = max(notes, key=lambda note: note["number"])["heads"]["risk-monitor"]
    statement("DELETE FROM entry WHERE source = 'risk-monitor' AND seq >= ?", acknowledged)(data)


def no_second_place(data: Path) -> None:
    (data / "journal.heads").unlink()


LOSSES = {
    "a bit in the log": (a_bit_in_the_log, "entries were acknowledged, "),
    "no log": (no_log, ""),
    "no database": (no_database, "session 1 is missing, there is none"),
    "no second place": (no_second_place, "journal.heads is missing"),
    "an emptied journal": (
        statement("DELETE FROM entry WHERE source = 'custodian'"),
        "journal of custodian, session 1: ",
    ),
    "the newest entry": (
        no_newest_entry,
        "journal of risk-monitor, session 1: ",
    ),
}


def started(data: Path) -> "subprocess.CompletedProcess[str]":
    """Try to start the ecosystem, which must fail."""
    offset = {"PORT_OFFSET": str(free_offset())}
    return command("up", "--data", str(data), env=offset, cwd=data.parent, timeout=600)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_stops_the_start_and_can_be_accepted(
    killed: Path, tmp_path: Path, loss: str
) -> None:
    change, text = LOSSES[loss]
    data = tmp_path / "data"
    shutil.copytree(killed, data)
    change(data)
    failed = started(data)
    assert failed.returncode == 2, failed.stderr
    (line,) = failed.stderr.splitlines()
    assert text in line and "--accept-loss" in line
    again = started(data)
    assert again.stderr == failed.stderr

    up = Up(data, ACCEPT_LOSS="true")
    try:
        wait_for("a book", lambda: quoted(up))
        assert up.exchange.order(**RESTING).status_code == 200
        wait_for("the audit to say so", lambda: "LOST" in kinds_of_discrepancies(up))
    finally:
        up.stop()
    up = Up(data)
    try:
        wait_for("the audit to say so still", lambda: "LOST" in kinds_of_discrepancies(up))
    finally:
        code, output = up.stop()
    assert code == 0, output


def kinds_of_discrepancies(up: Up) -> set[str]:
    answer = httpx.get(up.url["audit-correlator"] + "/api/v1/findings", timeout=10)
    assert answer.status_code == 200, answer.text
    return {finding["kind"] for finding in answer.json()}
