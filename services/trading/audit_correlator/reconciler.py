"""Takes verified journal entries of every service and compares what they say.

Journals arrive one by one: what a service claims at a moment is judged when the exchange's trades
and the published prices have been read up to that moment. What the timeline wants is handed on.
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
from trading.audit_correlator.published import Published
from trading.audit_correlator.timeline import EVERYWHERE, OWN, Timeline
from trading.audit_correlator.trades import TRADE, Trades
from trading.messages import Message
from trading.messages.audit import Correlation, Discrepancy, JournalEntry, LossNoted
from trading.messages.chaos import FaultApplied, FaultEnded, FaultInjected, FaultRecovered
from trading.messages.custody import CustodySnapshot, LedgerPosted, TransferCompleted
from trading.messages.market import PriceTick
from trading.messages.orders import AccountSnapshot, Trade
from trading.messages.risk import AlertFired, AlertResolved, PortfolioReported
from trading.runtime.journal import RECEIVED, kind_of, time_of
from trading.runtime.replay import received
from trading.topology import CUSTODIAN, EXCHANGE, MARKET_DATA, RISK_MONITOR, TEST_COORDINATOR
from trading.universe import Universe

Handler = Callable[[Any], None]

LOST = "LOST"
#: What the entry has that a process wrote when it went on in spite of a loss.
_LOSS = b'"LossNoted"'
#: Of the discrepancies in trades only so many are told.
_MAX_TRADES = 10


class _Kind(NamedTuple):
    """What is done with the entries of a type: ``waits`` for the trades and prices before it;
    ``recorded`` in the timeline.
    """

    type: type[Message]
    handle: Handler
    waits: bool
    recorded: bool


class _Held(NamedTuple):
    """A claim that waits. ``as_of``: the newest trade that is in it."""

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


class Reconciler:
    def __init__(self, universe: Universe, timeline: Timeline) -> None:
        findings = self._findings = Findings(timeline.find)
        self._timeline = timeline
        trades = self.trades = Trades(universe)
        self._published = Published(a.name for a in universe.assets)
        exchange = ExchangeClaims(trades, findings)
        custodian = CustodianClaims(trades, findings)
        self._monitor = MonitorClaims(trades, findings, self._published)
        self.correlator = correlator = Correlator()
        self._read_to: dict[str, int] = {EXCHANGE: 0, MARKET_DATA: 0}
        self._held: dict[str, deque[_Held]] = {}
        #: The newest trade that each of those who claim has claimed something of.
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

    def take(self, source: str, entries: Sequence[JournalEntry]) -> None:
        """Entries of one journal, in order, whose chain holds."""
        kinds = self._kinds.get(source, self._everywhere)
        for index, entry in enumerate(entries):
            kind = kind_of(entry.body)
            if kind == RECEIVED and _LOSS in entry.body:
                now, messages = received(entry)
                for loss in messages:
                    if isinstance(loss, LossNoted):
                        self.note_loss(source, loss, now)
            known = kinds.get(kind)
            if known is None:
                continue
            try:
                decoded = _decoder(known.type)(entry.body)
            except msgspec.DecodeError as error:
                self._findings.judged = (source, 0, time_of(entry.body))
                self._findings.add("CHAIN_BROKEN", source, 0, 0, f"unreadable entry: {error}")
                continue
            if known.recorded:
                self._timeline.add(source, entries, index, decoded)
            if known.waits:
                as_of = getattr(decoded.payload, "last_trade_id", 0)
                held = self._held.setdefault(source, deque())
                held.append(_Held(decoded.seq, decoded.time, as_of, known.handle, decoded.payload))
            else:
                self._handle(source, decoded, known.handle)
        if entries:
            self._timeline.read(source, entries[-1])
            if source in self._read_to:
                self._read_to[source] = time_of(entries[-1].body)
        self._judge(False)

    def note_loss(self, source: str, loss: LossNoted, now: int) -> None:
        """Take it as a discrepancy, which ``source`` says at the time ``now``."""
        self._findings.judged = (source, 0, now)
        where = loss.journal or source
        self._findings.add(LOST, where, loss.acknowledged, loss.kept, loss.detail)

    def finish(self) -> tuple[list[Discrepancy], tuple[Correlation, ...], int]:
        """Judge what still waits; discrepancies, correlations and false alarms. Call once."""
        self._judge(True)
        self._findings.judged = (RISK_MONITOR, 0, 0)
        self._monitor.finish()
        return self.discrepancies(), self.correlator.correlations(), self.correlator.false_alarms()

    def discrepancies(self) -> list[Discrepancy]:
        return self.trades.discrepancies[:_MAX_TRADES] + self._findings.all()

    def state(self) -> dict[str, Any]:
        return {
            "trades": self.trades.state(),
            "held": {source: len(held) for source, held in self._held.items()},
        }

    def _handle(self, source: str, decoded: Any, handle: Handler) -> None:
        before = len(self.trades.discrepancies)
        handle(decoded.payload)
        for found in self.trades.discrepancies[before:_MAX_TRADES]:
            self._timeline.find(found, source, decoded.seq, decoded.time)

    def _judge(self, last: bool) -> None:
        read_to = min(self._read_to.values())
        known = self.trades.last_trade_id
        for source, held in self._held.items():
            while held:
                claim = held[0]
                as_of = claim.as_of
                if not last and (claim.time > read_to or as_of > known):
                    break
                held.popleft()
                self._findings.judged = (source, claim.seq, claim.time)
                if as_of > known:
                    detail = f"claims trade {as_of}, the exchange's journal ends at {known}"
                    self._findings.add(TRADE, source, known, as_of, detail)
                elif as_of and as_of < self.trades.kept_from:
                    detail = f"claims trade {as_of} after trades from {self.trades.kept_from} on"
                    self._findings.add(TRADE, source, self.trades.kept_from, as_of, detail)
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
    """By the name that the journals have for a type."""
    return {
        kind.__name__: _Kind(kind, *handled.get(kind, (_nothing, False)), kind in recorded)
        for kind in (*handled, *recorded)
    }


def _nothing(message: Message) -> None:
    """Only the timeline wants it."""
