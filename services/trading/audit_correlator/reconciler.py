"""Takes verified journal entries of every service and compares what they say.

Journals arrive one by one: what a service claims at a moment is judged when the exchange's trades
and the published prices have been read up to that moment.
"""

from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import msgspec

from trading.audit_correlator.claims import (
    CustodianClaims,
    ExchangeClaims,
    Findings,
    MonitorClaims,
)
from trading.audit_correlator.correlation import Correlator
from trading.audit_correlator.trades import TRADE, Trades
from trading.messages import Message
from trading.messages.audit import Correlation, Discrepancy, JournalEntry
from trading.messages.chaos import FaultApplied, FaultEnded, FaultInjected, FaultRecovered
from trading.messages.custody import CustodySnapshot, LedgerPosted, TransferCompleted
from trading.messages.market import PriceTick
from trading.messages.orders import AccountSnapshot, Trade
from trading.messages.risk import AlertFired, AlertResolved, PortfolioReported
from trading.runtime.journal import kind_of
from trading.topology import CUSTODIAN, EXCHANGE, MARKET_DATA, RISK_MONITOR, TEST_COORDINATOR
from trading.universe import Universe

Handler = Callable[[Any], None]


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
    def __init__(self, universe: Universe) -> None:
        findings = self._findings = Findings()
        trades = self.trades = Trades(universe)
        self._published: dict[str, dict[int, None]] = {a.name: {} for a in universe.assets}
        exchange = ExchangeClaims(trades, findings)
        custodian = CustodianClaims(trades, findings)
        self._monitor = MonitorClaims(trades, findings, self._published)
        self.correlator = correlator = Correlator()
        self._read_to: dict[str, int] = {EXCHANGE: 0, MARKET_DATA: 0}
        self._held: dict[str, deque[tuple[int, int, Handler, Any]]] = {}
        everywhere: dict[type[Message], tuple[bool, Handler]] = {
            FaultApplied: (False, correlator.on_applied),
            FaultEnded: (False, correlator.on_ended),
        }
        own: dict[str, dict[type[Message], tuple[bool, Handler]]] = {
            MARKET_DATA: {PriceTick: (False, self._on_price)},
            EXCHANGE: {
                Trade: (False, trades.add),
                AccountSnapshot: (True, exchange.on_account),
            },
            CUSTODIAN: {
                LedgerPosted: (True, custodian.on_posting),
                TransferCompleted: (True, custodian.on_transfer),
                CustodySnapshot: (True, custodian.on_custody),
            },
            RISK_MONITOR: {
                AlertFired: (True, self._on_alert),
                AlertResolved: (True, self._monitor.on_resolved),
                PortfolioReported: (True, self._monitor.on_portfolio),
            },
            TEST_COORDINATOR: {
                FaultInjected: (False, correlator.on_injected),
                FaultRecovered: (False, correlator.on_recovered),
            },
        }
        self._everywhere = {k.__name__: (*h, k) for k, h in everywhere.items()}
        self._handlers = {
            source: self._everywhere | {k.__name__: (*h, k) for k, h in kinds.items()}
            for source, kinds in own.items()
        }

    def take(self, source: str, entries: Sequence[JournalEntry]) -> None:
        """Entries of one journal, in order, whose chain holds."""
        handlers = self._handlers.get(source, self._everywhere)
        for entry in entries:
            known = handlers.get(kind_of(entry.body))
            if known is None:
                continue
            waits, handle, kind = known
            try:
                decoded = _decoder(kind)(entry.body)
            except msgspec.DecodeError as error:
                self._findings.add("CHAIN_BROKEN", source, 0, 0, f"unreadable entry: {error}")
                continue
            if waits:
                held = self._held.setdefault(source, deque())
                as_of = getattr(decoded.payload, "last_trade_id", 0)
                held.append((decoded.time, as_of, handle, decoded.payload))
            else:
                handle(decoded.payload)
        if entries and source in self._read_to:
            self._read_to[source] = _time(entries[-1])
        self._judge(False)

    def finish(self) -> tuple[list[Discrepancy], tuple[Correlation, ...], int]:
        """Judge what still waits; discrepancies, correlations and false alarms. Call once."""
        self._judge(True)
        self._monitor.finish()
        return self.discrepancies(), self.correlator.correlations(), self.correlator.false_alarms()

    def discrepancies(self) -> list[Discrepancy]:
        return self.trades.discrepancies[:10] + self._findings.all()

    def state(self) -> dict[str, Any]:
        return {
            "trades": self.trades.state(),
            "held": {source: len(held) for source, held in self._held.items()},
        }

    def _judge(self, last: bool) -> None:
        read_to = min(self._read_to.values())
        known = self.trades.last_trade_id
        for source, held in self._held.items():
            while held:
                time, as_of, handle, payload = held[0]
                if not last and (time > read_to or as_of > known):
                    break
                held.popleft()
                if as_of > known:
                    detail = f"claims trade {as_of}, the exchange's journal ends at {known}"
                    self._findings.add(TRADE, source, known, as_of, detail)
                else:
                    handle(payload)

    def _on_price(self, tick: PriceTick) -> None:
        published = self._published.get(tick.asset)
        if published is not None and tick.price is not None:
            published[tick.price] = None

    def _on_alert(self, alert: AlertFired) -> None:
        self._monitor.on_alert(alert)
        self.correlator.on_alert(alert)


def _time(entry: JournalEntry) -> int:
    body = entry.body
    start = body.index(b",") + 1
    return int(body[start : body.index(b",", start)])
