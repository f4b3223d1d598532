"""Tests that every change of a journal is found, even if its hash chain was computed again."""

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
from trading.embedded.run import ExternalMessages, run_plan
from trading.embedded.verification import verify_directory
from trading.messages import Message
from trading.messages.orders import PlaceOrder
from trading.messages.risk import AlertFired, AlertResolved, Severity
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
    """Delete the journal, and its head in the verdict."""
    path.unlink()
    file = path.parents[1] / "verdict.json"
    verdict = read(file)
    del verdict["audit"]["journals"][path.stem]
    write(file, verdict)


def swapped(path: Path) -> None:
    """Replace the journal by another one, whose chain is valid."""
    other_journal = path.with_name(
        "custodian.ndjson" if path.stem == "exchange" else "exchange.ndjson"
    )
    path.write_bytes(other_journal.read_bytes())


def half_a_line(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def spaced(path: Path) -> None:
    """Change only the white space of the JSON."""
    first, *more = lines(path)
    path.write_bytes(first.replace(b'"entry":', b'"entry": ') + b"".join(more))


def hash_alone(path: Path) -> None:
    """Change the hash of an entry, not its content."""
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
    """Change the first number or text in one message, other than its type."""
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
    """Writing a journal with seal() changes nothing, so the tests below find what they change."""
    for path in (copy / "journals").iterdir():
        seal(path, bodies(path))
    adjust_heads(copy)
    assert verify_directory(copy).problems == []


#: Changes of a journal. The forgeries are tested once more with a matching verdict.json.
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
    """The change is found even if verdict.json has the new length and head of the journal."""
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
    """Every seventh entry is removed in turn; each time, the first wrong entry is named."""
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
    """The chain is computed again, and the alerts are removed from verdict.json as well."""
    path = copy / "journals" / "risk-monitor.ndjson"
    remaining = [e for e in bodies(path) if e[2] not in ("AlertFired", "AlertResolved")]
    assert len(remaining) < len(bodies(path))
    seal(path, remaining)
    adjust_heads(copy)
    write(copy / "verdict.json", {**read(copy / "verdict.json"), "alerts": []})
    problems = verify_directory(copy).problems
    assert any(p.startswith("journals/risk-monitor.ndjson: entry ") for p in problems)
    assert any(p.startswith("verdict.json: alerts: ") for p in problems)


class SilencedMonitor:
    """A risk monitor that suppresses all alerts but one."""

    name = RISK_MONITOR

    def __init__(self, monitor: Component) -> None:
        self._monitor = monitor

    def on(self, message: Message, now: int) -> Sequence[Message]:
        messages = self._monitor.on(message, now)
        suppressed = (AlertFired, AlertResolved)
        return [m for m in messages if not (isinstance(m, suppressed) and m.rule != "venue-down")]

    def state(self) -> Any:
        return self._monitor.state()


def test_a_run_of_another_monitor_is_found(tmp_path: Path) -> None:
    """Journals, heads, root and verdict are consistent, but the run had another risk monitor."""
    small_plan = plan()
    parts: list[Component] = [
        SilencedMonitor(c) if c.name == RISK_MONITOR else c for c in components(small_plan)
    ]
    result = run_plan(small_plan, parts=parts, control=False)
    assert result.verdict.outcome == "Pass" and result.verdict.audit.complete
    write_report(result, tmp_path)
    problems = verify_directory(tmp_path).problems
    assert any(p.startswith("journals/risk-monitor.ndjson: entry ") for p in problems)
    assert any(p.startswith("verdict.json: audit.root: ") for p in problems)


def test_an_alert_that_nobody_sent_is_found(tmp_path: Path) -> None:
    """The coordinator received the alert, but the monitor's journal does not contain it."""
    limits = {"venue-down": "1h"}
    small_plan = msgspec.structs.replace(plan(), limits=limits)
    at = small_plan.start + 30 * SECOND
    invented = AlertFired("made-up", "venue-down", "exchange", Severity.CRITICAL, "", "", at, at)
    result = run_plan(small_plan, outside=[ExternalMessages(at, TEST_COORDINATOR, [invented])])
    assert result.verdict.expectations[0].met
    write_report(result, tmp_path)
    problems = verify_directory(tmp_path).problems
    assert any(p.startswith("journals/test-coordinator.ndjson: entry ") for p in problems)
    assert 'verdict.json: outcome: the file says "Pass", computed "Fail"' in problems


def test_an_order_that_came_from_outside_is_part_of_the_run(copy: Path) -> None:
    """Only the exchange's journal has the order; without it, all later entries differ."""
    path = copy / "journals" / "exchange.ndjson"
    entries = bodies(path)
    for entry in entries:
        if entry[2] == "Received":
            entry[3] = [m for m in entry[3] if m.get("client_order_id") != "mine"]
    seal(path, [e for e in entries if e[3] != []])
    problems = verify_directory(copy).problems
    assert any(p.startswith("journals/custodian.ndjson: entry ") for p in problems)


def test_clients_and_the_ecosystem_at_one_instant(tmp_path: Path) -> None:
    """Orders arrive at the same instants as other messages of the exchange, for two seconds."""
    small_plan = plan()
    moments = [
        small_plan.start + 4 * SECOND + n * 100_000 + m for n in range(20) for m in (0, 1000)
    ]
    orders = [
        ExternalMessages(at, "exchange", [PlaceOrder("firm-api", f"o{at}", "BTCUSDT", *LIMIT)])
        for at in moments
    ]
    write_report(run_plan(small_plan, outside=orders), tmp_path)
    assert verify_directory(tmp_path).problems == []


LIMIT = ("BUY", "LIMIT", SCALE // 100, 50_000 * SCALE)
