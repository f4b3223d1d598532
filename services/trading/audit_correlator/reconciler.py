"""Distribute verified journal entries to the checks, in an order that makes them comparable.

Journals arrive one by one. What a service claims at some time can only be checked when the
exchange's trades and the published prices have been read up to that time; until then the claim
waits. Entries that belong in the timeline are passed on to it.
"""

from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec

from trading.audit_correlator.claims import (
    CustodianClaims,
    ExchangeClaims,
    Findings,
    MonitorClaims,
)
from trading.audit_correlator.correlation import Correlator
from trading.audit_correlator.published import PublishedPrices
from trading.audit_correlator.timeline import EVERYWHERE, OWN, AuditTimeline
from trading.audit_correlator.trades import Trades
from trading.messages import Message
from trading.messages.audit import (
    Correlation,
    Discrepancy,
    DiscrepancyKind,
    JournalEntry,
    LossNoted,
)
from trading.messages.chaos import FaultApplied, FaultEnded, FaultInjected, FaultRecovered
from trading.messages.custody import CustodySnapshot, LedgerPosted, TransferCompleted
from trading.messages.market import PriceTick
from trading.messages.orders import AccountSnapshot, Trade
from trading.messages.risk import AlertFired, AlertResolved, PortfolioReported
from trading.runtime.journal import RECEIVED, kind_of, time_of
from trading.runtime.replay import decode_received
from trading.topology import CUSTODIAN, EXCHANGE, MARKET_DATA, RISK_MONITOR, TEST_COORDINATOR
from trading.universe import Universe

Handler = Callable[[Any], None]

#: Part of every received entry by which a process reports that it continues in spite of a loss.
_LOSS_MARK = b'"LossNoted"'
#: At most this many discrepancies in trades are reported.
_MAX_TRADE_DISCREPANCIES = 10


class _Kind(NamedTuple):
    """How entries of one type are processed.

    ``handle`` checks the message. ``waits`` is true if the trades and prices before it must be read
    first, and ``recorded`` if the entry goes into the timeline.
    """

    type: type[Message]
    handle: Handler
    waits: bool
    recorded: bool


class _PendingClaim(NamedTuple):
    """A claim that waits to be checked; ``as_of`` is the newest trade that it includes."""

    seq: int
    time: int
    as_of: int
    handle: Handler
    payload: Any


@cache
def _decoder(kind: type[Message]) -> Callable[[bytes], Any]:
    entry = msgspec.defstruct(
        f"{kind.__name__}Entry",
        [("seq", int), ("time", int), ("kind", str), ("payload", kind)],
        array_like=True,
        gc=False,
    )
    return msgspec.json.Decoder(entry).decode


class JournalReconciler:
    """Checks the entries of all journals against each other.

    ``universe`` has the opening balances, and entries that matter go to ``timeline``.
    """

    def __init__(self, universe: Universe, timeline: AuditTimeline) -> None:
        findings = self._findings = Findings(timeline.add_discrepancy)
        self._timeline = timeline
        trades = self.trades = Trades(universe)
        self._published = PublishedPrices(a.name for a in universe.assets)
        exchange = ExchangeClaims(trades, findings)
        custodian = CustodianClaims(trades, findings)
        self._monitor = MonitorClaims(trades, findings, self._published)
        self.correlator = correlator = Correlator()
        self._read_to: dict[str, int] = {EXCHANGE: 0, MARKET_DATA: 0}
        self._pending: dict[str, deque[_PendingClaim]] = {}
        #: The newest trade that a checked claim of each service has included.
        self._claimed = {EXCHANGE: 0, CUSTODIAN: 0, RISK_MONITOR: 0}
        everywhere: dict[type[Message], tuple[Handler, bool]] = {
            FaultApplied: (correlator.on_applied, False),
            FaultEnded: (correlator.on_ended, False),
        }
        own: dict[str, dict[type[Message], tuple[Handler, bool]]] = {
            MARKET_DATA: {PriceTick: (self._on_price, False)},
            EXCHANGE: {
                Trade: (trades.add, False),
                AccountSnapshot: (exchange.on_account, True),
            },
            CUSTODIAN: {
                LedgerPosted: (custodian.on_posting, True),
                TransferCompleted: (custodian.on_transfer, True),
                CustodySnapshot: (custodian.on_custody, True),
            },
            RISK_MONITOR: {
                AlertFired: (self._on_alert, True),
                AlertResolved: (self._monitor.on_resolved, True),
                PortfolioReported: (self._monitor.on_portfolio, True),
            },
            TEST_COORDINATOR: {
                FaultInjected: (correlator.on_injected, False),
                FaultRecovered: (correlator.on_recovered, False),
            },
        }
        self._everywhere = _kinds(everywhere, EVERYWHERE)
        self._kinds = {
            source: self._everywhere | _kinds(own.get(source, {}), OWN.get(source, ()))
            for source in (*own, *OWN)
        }

    def process(self, source: str, entries: Sequence[JournalEntry]) -> None:
        """Process verified entries of one journal, which directly follow the earlier ones."""
        kinds = self._kinds.get(source, self._everywhere)
        for index, entry in enumerate(entries):
            kind = kind_of(entry.body)
            if kind == RECEIVED and _LOSS_MARK in entry.body:
                now, messages = decode_received(entry)
                for loss in messages:
                    if isinstance(loss, LossNoted):
                        self.note_loss(source, loss, now)
            processing = kinds.get(kind)
            if processing is None:
                continue
            try:
                decoded = _decoder(processing.type)(entry.body)
            except msgspec.DecodeError as error:
                self._findings.current_entry = (source, 0, time_of(entry.body))
                self._findings.add(
                    DiscrepancyKind.CHAIN_BROKEN, source, 0, 0, f"unreadable entry: {error}"
                )
                continue
            if processing.recorded:
                self._timeline.add(source, entries, index, decoded)
            if processing.waits:
                as_of = getattr(decoded.payload, "last_trade_id", 0)
                pending = self._pending.setdefault(source, deque())
                pending.append(
                    _PendingClaim(
                        decoded.seq, decoded.time, as_of, processing.handle, decoded.payload
                    )
                )
            else:
                self._handle(source, decoded, processing.handle)
        if entries:
            self._timeline.mark_read(source, entries[-1])
            if source in self._read_to:
                self._read_to[source] = time_of(entries[-1].body)
        self._check_claims(False)

    def note_loss(self, source: str, loss: LossNoted, now: int) -> None:
        """Report as a discrepancy that ``source`` has noted a loss at the time ``now``."""
        self._findings.current_entry = (source, 0, now)
        where = loss.journal or source
        self._findings.add(DiscrepancyKind.LOST, where, loss.acknowledged, loss.kept, loss.detail)

    def finish(self) -> tuple[list[Discrepancy], tuple[Correlation, ...], int]:
        """Check all claims that still wait. Return the discrepancies, the correlations and the
        number of false alarms. Call it once, at the end.
        """
        self._check_claims(True)
        self._findings.current_entry = (RISK_MONITOR, 0, 0)
        self._monitor.finish()
        return self.discrepancies(), self.correlator.correlations(), self.correlator.false_alarms()

    def discrepancies(self) -> list[Discrepancy]:
        """Return the discrepancies so far."""
        return self.trades.discrepancies[:_MAX_TRADE_DISCREPANCIES] + self._findings.all()

    def state(self) -> dict[str, Any]:
        """Return how far the checks are, as plain values."""
        return {
            "trades": self.trades.state(),
            "held": {source: len(claims) for source, claims in self._pending.items()},
        }

    def _handle(self, source: str, decoded: Any, handle: Handler) -> None:
        before = len(self.trades.discrepancies)
        handle(decoded.payload)
        for discrepancy in self.trades.discrepancies[before:_MAX_TRADE_DISCREPANCIES]:
            self._timeline.add_discrepancy(discrepancy, source, decoded.seq, decoded.time)

    def _check_claims(self, last: bool) -> None:
        read_to = min(self._read_to.values())
        last_trade = self.trades.last_trade_id
        for source, pending in self._pending.items():
            while pending:
                claim = pending[0]
                as_of = claim.as_of
                if not last and (claim.time > read_to or as_of > last_trade):
                    break
                pending.popleft()
                self._findings.current_entry = (source, claim.seq, claim.time)
                if as_of > last_trade:
                    detail = f"claims trade {as_of}, the exchange's journal ends at {last_trade}"
                    self._findings.add(DiscrepancyKind.TRADE, source, last_trade, as_of, detail)
                elif as_of and as_of < self.trades.kept_from:
                    detail = f"claims trade {as_of} after trades from {self.trades.kept_from} on"
                    self._findings.add(
                        DiscrepancyKind.TRADE, source, self.trades.kept_from, as_of, detail
                    )
                else:
                    claim.handle(claim.payload)
                    self._claimed[source] = max(self._claimed[source], as_of)
        self.trades.forget(min(self._claimed.values()))

    def _on_price(self, tick: PriceTick) -> None:
        if tick.price is not None:
            self._published.add(tick.asset, tick.price, tick.event_time)

    def _on_alert(self, alert: AlertFired) -> None:
        self._monitor.on_alert(alert)
        self.correlator.on_alert(alert)


def _kinds(
    handled: dict[type[Message], tuple[Handler, bool]], recorded: tuple[type[Message], ...]
) -> dict[str, _Kind]:
    """Return how each type is processed, by the name of the type in journals."""
    return {
        kind.__name__: _Kind(kind, *handled.get(kind, (_ignore, False)), kind in recorded)
        for kind in (*handled, *recorded)
    }


def _ignore(message: Message) -> None:
    """Do nothing: the entry only belongs in the timeline."""
