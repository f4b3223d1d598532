"""The auditor's ledger is complete, hash-chained, and independent of the order of arrival."""

import random
import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from trading.audit_correlator import AuditCorrelator, ledger, timeline
from trading.audit_correlator.ledger import AuditRecord
from trading.embedded.api import load_scenario
from trading.embedded.run import run_plan
from trading.hosting import snapshot
from trading.messages.audit import AuditQuery, AuditReport, JournalBatch, JournalEntry
from trading.runtime.journal import GENESIS, decode, kind_of, verify
from trading.topology import AUDIT_CORRELATOR, TEST_COORDINATOR
from trading.universe import default_universe

Journals = dict[str, list[JournalEntry]]

TIMELINE = {kind.__name__ for kinds in timeline.OWN.values() for kind in kinds} | {
    kind.__name__ for kind in timeline.EVERYWHERE
}

PARTITION = {
    "apiVersion": "chaos.trading/v1alpha1",
    "kind": "ChaosScenario",
    "metadata": {"name": "partition"},
    "spec": {
        "seed": 5,
        "steadyState": {"for": "1m", "within": "20m"},
        "faults": [
            {
                "name": "cut",
                "at": "1m",
                "duration": "2m",
                "networkPartition": {"between": [["risk-monitor", "exchange"]]},
            }
        ],
        "expect": [{"alert": "venue-down", "of": "cut", "within": "2m"}],
        "recovery": {"within": "20m"},
    },
}


def journals_of(scenario: str | Path) -> Journals:
    """Run a scenario, and return the entries of every journal but the auditor's."""
    result = run_plan(load_scenario(scenario).plan, control=False)
    assert result.verdict.outcome == "Pass"
    return {
        name: list(journal.after(0))
        for name, journal in result.journals.items()
        if name != AUDIT_CORRELATOR
    }


@pytest.fixture(scope="module")
def crash() -> Journals:
    """Return the journals of a run of market-crash."""
    return journals_of("market-crash")


@pytest.fixture(scope="module")
def partition(tmp_path_factory: pytest.TempPathFactory) -> Journals:
    """Return the journals of a run with a network partition."""
    file = tmp_path_factory.mktemp("partition") / "partition.yaml"
    file.write_text(yaml.safe_dump(PARTITION), encoding="utf-8")
    return journals_of(file)


def batches(journals: Journals, order: random.Random, largest: int) -> Iterator[JournalBatch]:
    """Yield the journals in batches of random size, from randomly chosen journals."""
    read = dict.fromkeys(journals, 0)
    while open_ := [name for name in journals if read[name] < len(journals[name])]:
        name = order.choice(open_)
        after, count = read[name], order.randint(1, largest)
        yield JournalBatch(name, after, tuple(journals[name][after : after + count]))
        read[name] += count


def audited(received: Sequence[JournalBatch] | Iterator[JournalBatch]) -> AuditCorrelator:
    """Return an auditor that has read the batches."""
    auditor = AuditCorrelator(default_universe())
    for batch in received:
        auditor.on(batch, 0)
    return auditor


def query(auditor: AuditCorrelator, journals: Journals) -> AuditReport:
    """Query the auditor, with the heads of the journals, and return its report."""
    heads = {name: len(entries) for name, entries in journals.items()}
    (report,) = auditor.on(AuditQuery(TEST_COORDINATOR, "run", heads), 1)
    assert isinstance(report, AuditReport)
    return report


def lines(auditor: AuditCorrelator) -> list[tuple[int, int, str, Any]]:
    """Return the decoded lines of the auditor's ledger."""
    return [decode(line.body) for line in auditor.timeline.ledger.after(0)]


@pytest.mark.parametrize("scenario", ["crash", "partition"])
@pytest.mark.parametrize("seed", range(6))
def test_it_is_the_same_however_the_journals_arrive(
    scenario: str, seed: int, request: pytest.FixtureRequest
) -> None:
    journals: Journals = request.getfixturevalue(scenario)
    plain = audited(JournalBatch(name, 0, tuple(entries)) for name, entries in journals.items())
    mixed = audited(batches(journals, random.Random(seed), largest=4000))
    first, second = plain.timeline.ledger, mixed.timeline.ledger
    assert (second.length, second.head) == (first.length, first.head)
    assert first.length > 10
    reports = [query(auditor, journals) for auditor in (plain, mixed)]
    assert reports[0] == reports[1]
    assert (second.length, second.head) == (first.length, first.head)


def test_it_verifies_and_holds_every_entry_that_matters_once(crash: Journals) -> None:
    auditor = audited(batches(crash, random.Random(1), largest=3000))
    report = query(auditor, crash)
    audit_ledger = auditor.timeline.ledger
    assert verify(audit_ledger.after(0)) == (audit_ledger.length, audit_ledger.head)
    expected = [
        (name, decode(entry.body)[0], entry.hash.hex())
        for name, entries in crash.items()
        for entry in entries
        if kind_of(entry.body) in TIMELINE
    ]
    actual = [(p["source"], p["seq"], p["hash"]) for _, _, kind, p in lines(auditor) if "seq" in p]
    assert sorted(actual) == sorted(expected)
    times = [time for _, time, _, _ in lines(auditor)]
    assert times == sorted(times)
    *_, (_, _, kind, answer) = lines(auditor)
    assert (kind, answer["root"], answer["complete"]) == ("AuditReport", report.root, True)


def test_the_evidence_is_the_journal_s_own_entry(crash: Journals) -> None:
    auditor = audited(batches(crash, random.Random(2), largest=2000))
    query(auditor, crash)
    for record in auditor.timeline.records():
        entries = crash[record.source]
        assert record.entry == entries[record.seq - 1]
        assert record.previous == (entries[record.seq - 2].hash if record.seq > 1 else GENESIS)
        assert sha256(record.previous + record.entry.body).digest() == record.entry.hash
        assert auditor.timeline.record(record.source, record.seq) is record


def test_what_was_read_is_taken_once(crash: Journals) -> None:
    once = list(batches(crash, random.Random(3), largest=2000))
    twice = [batch for batch in once for _ in range(2)]
    assert audited(twice).timeline.ledger.head == audited(once).timeline.ledger.head


def test_a_snapshot_goes_on_where_it_was(crash: Journals) -> None:
    received = list(batches(crash, random.Random(4), largest=2000))
    middle = len(received) // 2
    half = audited(received[:middle])
    assert half.timeline.ledger.length > 0
    restored = snapshot.load(snapshot.dump({"auditor": half}))["auditor"]
    for auditor in (half, restored):
        for batch in received[middle:]:
            auditor.on(batch, 0)
    assert query(restored, crash) == query(half, crash)
    assert restored.state() == half.state()


def test_a_record_waits_for_the_slowest_journal(crash: Journals) -> None:
    late = crash["custodian"]
    auditor = AuditCorrelator(default_universe())
    for name, entries in crash.items():
        if name != "custodian":
            auditor.on(JournalBatch(name, 0, tuple(entries)), 0)
    assert auditor.timeline.ledger.length == 0
    waiting = auditor.timeline.records()
    assert waiting and all(record.line == 0 for record in waiting)
    auditor.on(JournalBatch("custodian", 0, tuple(late)), 0)
    assert auditor.timeline.ledger.length >= len(waiting) - 3


def test_it_does_not_wait_for_ever(crash: Journals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "MAX_WAITING", 5)
    auditor = AuditCorrelator(default_universe())
    for name, entries in crash.items():
        if name != "custodian":
            auditor.on(JournalBatch(name, 0, tuple(entries)), 0)
    assert auditor.timeline.waiting == 5
    assert auditor.timeline.ledger.length == len(auditor.timeline.records()) - 5


def test_old_lines_are_forgotten_and_the_chain_goes_on(
    crash: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = audited(batches(crash, random.Random(5), largest=2000))
    monkeypatch.setattr(ledger, "MAX_LINES", 8)
    auditor = audited(batches(crash, random.Random(5), largest=2000))
    short, full = auditor.timeline.ledger, whole.timeline.ledger
    assert short.head == full.head
    assert short.first == short.length - 7
    *_, before = full.after(0) if short.first == 1 else _until(whole, short.first)
    assert verify(short.after(0), after=short.first - 1, head=before.hash)[1] == short.head
    assert len(list(short.after(short.length - 3))) == 3
    (dropped,) = (r for r in full.records() if r.line == 1)
    assert auditor.timeline.record(dropped.source, dropped.seq) is None


def _until(auditor: AuditCorrelator, seq: int) -> list[JournalEntry]:
    return list(auditor.timeline.ledger.after(0))[: seq - 1]


def test_a_broken_chain_is_in_it_and_holds_nothing_up(crash: Journals) -> None:
    intact = crash["trading-engine"]
    body = intact[4999].body.replace(b'"', b"'", 1)
    changed = [*intact[:4999], JournalEntry(body, intact[4999].hash), *intact[5000:]]
    damaged = {**crash, "trading-engine": changed}
    auditor = audited(batches(damaged, random.Random(6), largest=3000))
    ((time, finding),) = [
        (time, payload) for _, time, kind, payload in lines(auditor) if kind == "Discrepancy"
    ]
    assert (finding["kind"], finding["where"]) == ("CHAIN_BROKEN", "trading-engine")
    assert finding["expected"] == 5000
    assert time == decode(intact[4998].body)[1]
    later = [r for r in auditor.timeline.records() if isinstance(r, AuditRecord) and r.time > time]
    assert later and any(record.line for record in later)
    assert not query(auditor, damaged).complete


def with_forged_snapshot(journals: Journals) -> tuple[Journals, int]:
    """Return journals in which an exchange's snapshot claims one unit too much, with valid hash
    chains, and the time of that snapshot.
    """
    entries = journals["exchange"]
    claims = [i for i, e in enumerate(entries) if kind_of(e.body) == "AccountSnapshot"]
    forged_index = claims[len(claims) // 2]
    forged, head = [], GENESIS
    for index, entry in enumerate(entries):
        body = entry.body
        if index == forged_index:
            body = re.sub(rb'"free":(\d+)', lambda m: b'"free":%d' % (int(m[1]) + 1), body, count=1)
        head = sha256(head + body).digest()
        forged.append(JournalEntry(body, head))
    return {**journals, "exchange": forged}, decode(entries[forged_index].body)[1]


@pytest.mark.parametrize("seed", range(3))
def test_a_finding_stands_where_the_lie_was_told(crash: Journals, seed: int) -> None:
    journals, forged_at = with_forged_snapshot(crash)
    auditor = audited(batches(journals, random.Random(seed), largest=3000))
    ((time, finding),) = [
        (time, payload) for _, time, kind, payload in lines(auditor) if kind == "Discrepancy"
    ]
    assert finding["kind"] in ("CASH", "POSITION") and finding["where"].startswith("exchange/")
    assert abs(finding["expected"] - finding["actual"]) == 1
    assert time == forged_at
    plain = audited(JournalBatch(name, 0, tuple(all_)) for name, all_ in journals.items())
    assert plain.timeline.ledger.head == auditor.timeline.ledger.head


def test_a_network_whose_journal_nobody_reads_holds_nothing_up_after_the_report(
    partition: Journals,
) -> None:
    """If every service is a process of its own, there is no network component with a journal."""
    read = {name: entries for name, entries in partition.items() if name != "network"}
    auditor = audited(batches(read, random.Random(7), largest=2000))
    waiting = auditor.timeline.waiting
    assert waiting > 0
    query(auditor, read)
    assert auditor.timeline.waiting == 0
    assert auditor.timeline.ledger.length > waiting


def test_an_effect_may_be_read_before_its_injection(partition: Journals) -> None:
    """The effect is in the coordinator's journal; the network's journal is read last."""
    names = sorted(partition, key=lambda name: name == "network")
    auditor = audited(JournalBatch(name, 0, tuple(partition[name])) for name in names)
    (correlation,) = query(auditor, partition).correlations
    assert 0 < correlation.effect <= correlation.first_alert
    assert correlation.first_alert_rule == "venue-down"
