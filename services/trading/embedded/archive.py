"""Check the evidence that a run has left in a directory, years later and without the run."""

from pathlib import Path

import msgspec

from trading.audit_correlator import AuditCorrelator
from trading.messages.audit import AuditQuery, AuditReport, Discrepancy, JournalBatch, JournalEntry
from trading.runtime.journal import GENESIS, from_ndjson
from trading.scenario.result import JournalHead
from trading.topology import AUDIT_CORRELATOR, TEST_COORDINATOR
from trading.universe import default_universe

_BATCH = 4096


class _Audit(msgspec.Struct):
    journals: dict[str, JournalHead]


class _Verdict(msgspec.Struct):
    scenario: str
    outcome: str
    audit: _Audit


class Checked(msgspec.Struct):
    """``problems``: one line each, empty where everything holds."""

    scenario: str
    outcome: str
    events: int
    journals: int
    problems: list[str]

    @property
    def intact(self) -> bool:
        return not self.problems

    def lines(self) -> list[str]:
        """For people."""
        if self.problems:
            return [*self.problems, f"{self.scenario}: the evidence does not hold"]
        return [
            f"{self.scenario}: {self.events} entries in {self.journals} journals, every chain "
            f"holds, everything reconciles",
            f"verdict {self.outcome}",
        ]


def verify_directory(directory: Path) -> Checked:
    """Check the journals of ``trading run --report DIR`` against their chains, against the heads
    that verdict.json has, and against each other. OSError or ValueError where there is no report.
    """
    verdict = msgspec.json.decode((directory / "verdict.json").read_bytes(), type=_Verdict)
    heads = verdict.audit.journals
    if not heads:
        raise ValueError("verdict.json names no journals")
    auditor = AuditCorrelator(default_universe())
    problems: list[str] = []
    events = 0
    for service, head in heads.items():
        entries = _entries(directory / "journals" / f"{service}.ndjson", problems)
        events += len(entries)
        last = entries[-1].hash.hex() if entries else GENESIS.hex()
        if len(entries) != head.events or last != head.head:
            problems.append(
                f"{service}: {len(entries)} entries end in {last[:16]}, verdict.json says "
                f"{head.events} in {head.head[:16]}"
            )
        for start in range(0, len(entries), _BATCH):
            batch = tuple(entries[start : start + _BATCH])
            auditor.on(JournalBatch(service, start, batch), 0)
    wanted = {name: head.events for name, head in heads.items()}
    report = _ask(auditor, wanted)
    problems += [_line(d) for d in report.discrepancies]
    return Checked(verdict.scenario, verdict.outcome, events, len(heads), problems)


def _entries(path: Path, problems: list[str]) -> list[JournalEntry]:
    entries = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    entries.append(from_ndjson(line.rstrip(b"\n")))
                except ValueError as error:
                    problems.append(f"{path}:{number}: {error}")
                    break
    except FileNotFoundError:
        problems.append(f"{path}: missing")
    return entries


def _ask(auditor: AuditCorrelator, heads: dict[str, int]) -> AuditReport:
    """The journals of the auditor itself are no matter of its reconciliation, only of its chain."""
    query = AuditQuery(TEST_COORDINATOR, "archive", heads)
    for answer in [*auditor.on(query, 0), *auditor.give_up("archive", 0)]:
        if isinstance(answer, AuditReport):
            return answer
    raise ValueError(f"{AUDIT_CORRELATOR} gave no report")


def _line(found: Discrepancy) -> str:
    return f"{found.where}: {found.kind}: {found.detail}"
