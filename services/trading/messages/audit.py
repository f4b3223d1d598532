"""Messages between the test coordinator and the audit correlator, and the journal entries that the
latter reads.
"""

from enum import StrEnum

import msgspec

from trading.messages.base import Message


class JournalEntry(msgspec.Struct, gc=False, array_like=True):
    """One entry of a service's journal.

    ``body`` are the canonical bytes of ``[seq,time,"Type",payload]`` in JSON, and ``hash`` the 32
    bytes of ``sha256(previous hash + body)``. See :mod:`trading.runtime.journal`.
    """

    body: bytes
    hash: bytes


class JournalBatch(Message):
    """Response to ``GET /journal?after=N``: the entries of ``source`` after sequence number
    ``after``.
    """

    source: str
    after: int
    entries: tuple[JournalEntry, ...]


class BatchRead(Message):
    """Entry in the auditor's journal in place of a batch: it has read ``count`` entries of
    ``source`` after sequence number ``after``, and stores them itself.
    """

    source: str
    after: int
    count: int


class LossNoted(Message):
    """From the runtime: entries of a journal were lost after they had been acknowledged or read by
    the auditor.

    Of ``acknowledged`` entries only ``kept`` are left. ``journal`` names the journal; it is empty
    if a whole session is lost or cannot be continued. The message is sent at a start that was
    configured to continue in spite of a loss, and to the auditor when it finds a journal shorter
    than before.
    """

    journal: str
    acknowledged: int
    kept: int
    detail: str


class AuditQuery(Message):
    """Ask the audit correlator for a report of a run.

    ``heads`` has the last sequence number of each service's journal, as the coordinator received
    it.
    """

    source: str
    run_id: str
    heads: dict[str, int]


class DiscrepancyKind(StrEnum):
    """Which records do not agree.

    CHAIN_BROKEN, TRUNCATED and LOST are about a journal: an entry that does not fit its hash or
    cannot be read, entries that are missing at its end, entries that its service has lost. TRADE is
    about a trade itself. POSITION and CASH are about balances, of a coin and of a stablecoin.
    LEDGER is about the custodian's ledger, PNL about the risk monitor's valuation.
    """

    CHAIN_BROKEN = "CHAIN_BROKEN"
    TRUNCATED = "TRUNCATED"
    LOST = "LOST"
    CASH = "CASH"
    POSITION = "POSITION"
    PNL = "PNL"
    LEDGER = "LEDGER"
    TRADE = "TRADE"


class Discrepancy(msgspec.Struct, gc=False):
    """A difference between two records of the same facts.

    ``where`` is the service, account or asset. ``expected`` and ``actual`` are the amounts of both
    sides in 1e-8, or sequence numbers for discrepancies of journals.
    """

    kind: DiscrepancyKind
    where: str
    expected: int
    actual: int
    detail: str


class Correlation(msgspec.Struct, gc=False):
    """The chain from one fault's injection to its effect, first alert and recovery.

    Times are simulated microseconds, 0 for what did not happen.
    """

    fault_id: str
    applied: int
    effect: int
    first_alert: int
    first_alert_rule: str
    recovered: int


class AuditReport(Message):
    """The audit correlator's answer to :class:`AuditQuery`, addressed to ``to``.

    ``complete`` is set if every journal was read to its head and every hash chain holds. ``events``
    is the number of entries that were read, ``coverage_ppm`` their share of the entries that were
    written. ``root`` is the head of the auditor's own hash chain, in hex. ``false_alarms`` counts
    the alerts that no fault explains.
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
