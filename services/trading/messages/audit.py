"""Between the coordinator and the audit correlator, and the journals that the latter reads."""

import msgspec

from trading.messages.base import Message


class JournalEntry(msgspec.Struct, gc=False, array_like=True):
    """One entry of a service's journal: ``body`` are the canonical bytes
    ``[seq,time,"Type",payload]`` in JSON, ``hash`` the 32 bytes of
    ``sha256(previous hash + body)``. See :mod:`trading.runtime.journal`.
    """

    body: bytes
    hash: bytes


class JournalBatch(Message):
    """What ``GET /journal?after=N`` gives: the entries of ``source`` after sequence ``after``."""

    source: str
    after: int
    entries: tuple[JournalEntry, ...]


class BatchRead(Message):
    """In the auditor's journal instead of a batch: it has read ``count`` entries of ``source``
    after ``after``, and keeps them.
    """

    source: str
    after: int
    count: int


class LossNoted(Message):
    """From the runtime: entries of the journal ``journal`` had been acknowledged, or read by the
    auditor, and are lost, of ``acknowledged`` all but ``kept``. At a start that was told to go on
    in spite of it, and to the auditor when it finds a journal shorter than it was. ``journal``:
    empty where a whole session is lost, or cannot be gone on with.
    """

    journal: str
    acknowledged: int
    kept: int
    detail: str


class AuditQuery(Message):
    """``heads``: for each service its last sequence number, as the coordinator knows it."""

    source: str
    run_id: str
    heads: dict[str, int]


class Discrepancy(msgspec.Struct, gc=False):
    """``kind``: CHAIN_BROKEN, TRUNCATED, LOST, CASH, POSITION, PNL, LEDGER, TRADE. ``where``:
    service, account or asset. Amounts in units of 1e-8, as the two sides have them.
    """

    kind: str
    where: str
    expected: int
    actual: int
    detail: str


class Correlation(msgspec.Struct, gc=False):
    """One chain injection -> effect -> alerts -> recovery; times 0 where it never came."""

    fault_id: str
    applied: int
    effect: int
    first_alert: int
    first_alert_rule: str
    recovered: int


class AuditReport(Message):
    """``complete``: every journal was read to its head and every chain holds. ``root``: hex of the
    auditor's own chain. ``coverage_ppm``: entries read of entries written. ``false_alarms``:
    alerts that no fault explains.
    """

    to: str
    run_id: str
    complete: bool
    events: int
    root: str
    coverage_ppm: int
    discrepancies: tuple[Discrepancy, ...]
    correlations: tuple[Correlation, ...]
    false_alarms: int
    event_time: int
