"""No journal can be changed without the entry being named, whoever hashes the chain again."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.evidence.reports import adjust_heads, bodies, other, read, seal, write
from tests.evidence.small_run import plan
from trading.embedded.ecosystem import components
from trading.embedded.reporting import write_report
from trading.embedded.run import Arrival, run_plan
from trading.embedded.verification import verify_directory
from trading.messages import Message
from trading.messages.orders import PlaceOrder
from trading.messages.risk import AlertFired, AlertResolved
from trading.runtime.component import Component
from trading.topology import RISK_MONITOR, SERVICES, TEST_COORDINATOR
from trading.units import SCALE, SECOND

JOURNALS = [*SERVICES, "network"]


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def truncated(path: Path) -> None:
    path.write_bytes(b"".join(lines(path)[:-1]))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def deleted(path: Path) -> None:
    path.unlink()


def forgotten(path: Path) -> None:
    """Neither the journal nor its head is there."""
    path.unlink()
    file = path.parents[1] / "verdict.json"
    verdict = read(file)
    del verdict["audit"]["journals"][path.stem]
    write(file, verdict)


def swapped(path: Path) -> None:
    """In place of the journal another one, whose chain holds."""
    beside = path.with_name("custodian.ndjson" if path.stem == "exchange" else "exchange.ndjson")
    path.write_bytes(beside.read_bytes())


def half_a_line(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def spaced(path: Path) -> None:
    """The same JSON, written otherwise."""
    first, *more = lines(path)
    path.write_bytes(first.replace(b'"entry":', b'"entry": ') + b"".join(more))


def hash_alone(path: Path) -> None:
    """An entry's content is right, its hash is not."""
    first, *more = lines(path)
    path.write_bytes(first.replace(first[9:73], b"0" * 64) + b"".join(more))


def entry_removed(path: Path) -> None:
    entries = bodies(path)
    del entries[len(entries) // 2]
    seal(path, entries)


def entry_twice(path: Path) -> None:
    entries = bodies(path)
    seal(path, [*entries, entries[-1]])


def entry_altered(path: Path) -> None:
    """One field of one message: the first number or text in it, apart from its type."""
    entries = bodies(path)
    entry = entries[len(entries) // 2]
    message = entry[3][0] if isinstance(entry[3], list) else entry[3]
    name = next(n for n, v in message.items() if n != "msg" and isinstance(v, str | int))
    message[name] = other(message[name])
    seal(path, entries)


def later(path: Path) -> None:
    entries = bodies(path)
    entries[-1][1] += 1
    seal(path, entries)


def test_a_journal_that_is_sealed_as_it_was_holds(copy: Path) -> None:
    """What the tests below find is what they change, not how they write it."""
    for path in (copy / "journals").iterdir():
        seal(path, bodies(path))
    adjust_heads(copy)
    assert verify_directory(copy).problems == []


#: What may be done to a journal; and again with verdict.json after it.
DAMAGES = (deleted, forgotten, emptied, half_a_line, spaced, hash_alone, entry_twice)
FORGERIES = (truncated, swapped, entry_removed, entry_altered, later)


@pytest.mark.parametrize(
    ("tamper", "adjust"),
    [*((t, False) for t in (*DAMAGES, *FORGERIES)), *((t, True) for t in FORGERIES)],
)
@pytest.mark.parametrize("name", JOURNALS)
def test_a_changed_journal_is_named(
    copy: Path, name: str, tamper: Callable[[Path], None], adjust: bool
) -> None:
    """Also where verdict.json says what the journal's length and head are now."""
    path = copy / "journals" / f"{name}.ndjson"
    tamper(path)
    if adjust:
        adjust_heads(copy)
    about = [
        p for p in verify_directory(copy).problems if p.startswith(f"journals/{name}.ndjson: ")
    ]
    assert len(about) == 1
    if tamper in (deleted, forgotten):
        assert "missing, computed " in about[0]
    else:
        assert re.search(r"entry \d+", about[0])


def test_entries_of_the_monitor_are_named_by_number(copy: Path) -> None:
    """One in seven is taken out, and the first that is not in its place is named."""
    path = copy / "journals" / "risk-monitor.ndjson"
    entries = bodies(path)
    about = "journals/risk-monitor.ndjson: entry "
    missed = []
    for number in range(0, len(entries) - 1, 7):
        seal(path, [e for e in entries if e is not entries[number]])
        problems = verify_directory(copy).problems
        if not any(p.startswith(f"{about}{number + 1}") for p in problems):
            missed.append((number + 1, problems))
    assert missed == []


def test_a_journal_that_is_none_of_this_run_is_named(copy: Path) -> None:
    (copy / "journals" / "second-opinion.ndjson").write_text("", encoding="utf-8")
    assert verify_directory(copy).problems == [
        "journals/second-opinion.ndjson: is no journal of this run"
    ]


def test_the_first_field_that_differs_is_named(copy: Path) -> None:
    path = copy / "journals" / "risk-monitor.ndjson"
    entries = bodies(path)
    number = next(n for n, e in enumerate(entries) if e[2] == "AlertFired")
    severity = entries[number][3]["severity"]
    entries[number][3]["severity"] = "info"
    seal(path, entries)
    problem = next(p for p in verify_directory(copy).problems if p.startswith("journals/"))
    assert problem == (
        f"journals/risk-monitor.ndjson: entry {number + 1}: payload.severity: the file says"
        f' "info", computed "{severity}"'
    )


def test_alerts_cannot_be_taken_out_of_the_monitor_s_journal(copy: Path) -> None:
    """The chain is hashed again, and verdict.json knows of no alert."""
    path = copy / "journals" / "risk-monitor.ndjson"
    kept = [e for e in bodies(path) if e[2] not in ("AlertFired", "AlertResolved")]
    assert len(kept) < len(bodies(path))
    seal(path, kept)
    adjust_heads(copy)
    write(copy / "verdict.json", {**read(copy / "verdict.json"), "alerts": []})
    problems = verify_directory(copy).problems
    assert any(p.startswith("journals/risk-monitor.ndjson: entry ") for p in problems)
    assert any(p.startswith("verdict.json: alerts: ") for p in problems)


class Discreet:
    """A risk monitor that keeps some of what it should tell to itself."""

    name = RISK_MONITOR

    def __init__(self, monitor: Component) -> None:
        self._monitor = monitor

    def on(self, message: Message, now: int) -> Sequence[Message]:
        told = self._monitor.on(message, now)
        quiet = (AlertFired, AlertResolved)
        return [m for m in told if not (isinstance(m, quiet) and m.rule != "venue-down")]

    def state(self) -> Any:
        return self._monitor.state()


def test_a_run_of_another_monitor_is_found(tmp_path: Path) -> None:
    """Everything agrees with everything: journals, heads, root and verdict are those of a run in
    which the monitor was another one.
    """
    wanted = plan()
    parts: list[Component] = [
        Discreet(c) if c.name == RISK_MONITOR else c for c in components(wanted)
    ]
    result = run_plan(wanted, parts=parts, control=False)
    assert result.verdict.outcome == "Pass" and result.verdict.audit.complete
    write_report(result, tmp_path)
    problems = verify_directory(tmp_path).problems
    assert any(p.startswith("journals/risk-monitor.ndjson: entry ") for p in problems)
    assert any(p.startswith("verdict.json: audit.root: ") for p in problems)


def test_an_alert_that_nobody_sent_is_found(tmp_path: Path) -> None:
    """The coordinator has received it; the monitor's journal knows nothing of it."""
    limits = {"venue-down": "1h"}
    wanted = msgspec.structs.replace(plan(), limits=limits)
    at = wanted.start + 30 * SECOND
    invented = AlertFired("made-up", "venue-down", "exchange", "critical", "", "", at, at)
    result = run_plan(wanted, outside=[Arrival(at, TEST_COORDINATOR, [invented])])
    assert result.verdict.expectations[0].met
    write_report(result, tmp_path)
    problems = verify_directory(tmp_path).problems
    assert any(p.startswith("journals/test-coordinator.ndjson: entry ") for p in problems)
    assert 'verdict.json: outcome: the file says "Pass", computed "Fail"' in problems


def test_an_order_that_came_from_outside_is_part_of_the_run(copy: Path) -> None:
    """It is in the exchange's journal alone: without it, everything that followed is wrong."""
    path = copy / "journals" / "exchange.ndjson"
    entries = bodies(path)
    for entry in entries:
        if entry[2] == "Received":
            entry[3] = [m for m in entry[3] if m.get("client_order_id") != "mine"]
    seal(path, [e for e in entries if e[3] != []])
    problems = verify_directory(copy).problems
    assert any(p.startswith("journals/custodian.ndjson: entry ") for p in problems)


def test_clients_and_the_ecosystem_at_one_instant(tmp_path: Path) -> None:
    """An order among messages that the exchange gets anyway, at every moment of two seconds."""
    wanted = plan()
    moments = [wanted.start + 4 * SECOND + n * 100_000 + m for n in range(20) for m in (0, 1000)]
    orders = [
        Arrival(at, "exchange", [PlaceOrder("firm-api", f"o{at}", "BTCUSDT", *LIMIT)])
        for at in moments
    ]
    write_report(run_plan(wanted, outside=orders), tmp_path)
    assert verify_directory(tmp_path).problems == []


LIMIT = ("BUY", "LIMIT", SCALE // 100, 50_000 * SCALE)
