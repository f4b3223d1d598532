"""The risk monitor as a component: it evaluates the rule table on the data of production APIs.

It receives prices, order books, execution reports and snapshots of balances. It knows neither the
scenario nor the faults, so that its alerts prove something. Its parts evaluate their rules once per
*beat* (a second of simulated time, or a tick of the market if that is longer), and at once where an
execution report alone is enough. All messages of one call are collected in one list.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trading.messages import Message, Start, Wake
from trading.messages.custody import CustodySnapshot
from trading.messages.market import BookTop, Ping, Pong, PriceTick, SymbolStatusChanged
from trading.messages.orders import (
    AccountSnapshot,
    ExecutionReport,
    ExecutionType,
    KillSwitchChanged,
)
from trading.messages.risk import AcknowledgeAlert, ResetBreaker, SilenceRule, TripBreaker
from trading.risk_monitor.alerts import AlertBook, Silence
from trading.risk_monitor.books import Books
from trading.risk_monitor.breaker import Breaker
from trading.risk_monitor.feeds import Feeds
from trading.risk_monitor.orders import OrderControls
from trading.risk_monitor.portfolio import Portfolio
from trading.risk_monitor.positions import Positions
from trading.risk_monitor.prices import Prices
from trading.risk_monitor.reconciliation import Reconciliation
from trading.risk_monitor.rules import Controls
from trading.risk_monitor.surveillance import Surveillance
from trading.risk_monitor.venues import Venues
from trading.runtime.component import answer_ping
from trading.topology import RISK_MONITOR
from trading.units import MINUTE, SECOND
from trading.universe import Universe

#: Topic of the timer that triggers each evaluation.
BEAT = "beat"

_NO_LIMITS: Mapping[str, str] = {}


class RiskMonitor:
    """Raises alerts by the rule table, and operates the circuit breaker.

    ``universe`` says which accounts, assets and symbols exist, and ``tick`` is the tick of the
    market in simulated microseconds. ``limits`` overrides limits: it maps names of rules to limits
    as people write them. ``disabled`` names the rules that are switched off. If ``breaker_enabled``
    is false, the circuit breaker does not react to alerts. Raises ValueError for an unknown rule or
    an invalid limit.
    """

    name = RISK_MONITOR

    def __init__(
        self,
        universe: Universe,
        *,
        tick: int = SECOND,
        limits: Mapping[str, str] = _NO_LIMITS,
        disabled: frozenset[str] = frozenset(),
        breaker_enabled: bool = True,
    ) -> None:
        self._beat = beat = max(SECOND, tick)
        max_age = 3 * beat
        self.controls = controls = Controls(limits, disabled, tick=beat)
        self._out: list[Message] = []
        self._breaker = Breaker(
            universe.firm_accounts, enabled=breaker_enabled, retry=5 * beat, out=self._out
        )
        self._alerts = alerts = AlertBook(
            controls, resolve_after=MINUTE, reaction=self._breaker, out=self._out
        )
        self._books = Books(universe, controls, alerts, tick=beat, max_age=max_age)
        self._feeds = Feeds(universe, controls, alerts, self._books, tick=beat, max_age=max_age)
        self._prices = Prices(universe, controls, alerts, self._feeds, self._books)
        self._positions = Positions(universe)
        self._orders = OrderControls(universe, controls, alerts, self._feeds, max_age=max_age)
        self._surveillance = Surveillance(universe, controls, alerts)
        self._venues = Venues(controls, alerts)
        self._reconciliation = Reconciliation(
            universe,
            controls,
            alerts,
            self._positions,
            self._surveillance,
            interval=max(5 * SECOND, 3 * beat),
        )
        self._portfolio = Portfolio(
            universe, controls, alerts, self._feeds, self._positions, self._breaker
        )
        self._handlers: dict[type[Message], Callable[[Any, int], object]] = {
            PriceTick: self._feeds.on_tick,
            BookTop: self._books.on_top,
            ExecutionReport: self._on_report,
            Pong: self._venues.on_pong,
            Ping: self._on_ping,
            AccountSnapshot: self._on_account,
            CustodySnapshot: self._reconciliation.on_custody,
            SymbolStatusChanged: self._books.on_status,
            KillSwitchChanged: self._breaker.on_kill_switch,
            AcknowledgeAlert: self._on_acknowledge,
            SilenceRule: self._on_silence,
            TripBreaker: self._on_trip,
            ResetBreaker: self._on_reset,
            Wake: self._on_wake,
            Start: self._on_start,
        }

    def on(self, message: Message, now: int) -> Sequence[Message]:
        """Process a message, and return the messages that follow from it."""
        handler = self._handlers.get(type(message))
        if handler is None:
            return ()
        handler(message, now)
        out = self._out
        if not out:
            return ()
        answers = out[:]
        out.clear()
        return answers

    def health(self, now: int) -> dict[str, dict[str, int]]:
        """Return the age of the newest data of each source, in simulated microseconds.

        ``venues`` has, by service, the time since its last answered ping was sent; ``feeds`` has,
        by asset, the time since its last valid price was true, -1 if there has been none.
        """
        return {
            "venues": self._venues.ages(now),
            "feeds": {
                name: now - feed.good_at if feed.good else -1
                for name, feed in self._feeds.by_asset.items()
            },
        }

    def silences(self, now: int) -> list[Silence]:
        """Return the silences in force."""
        return self._alerts.silences(now)

    @property
    def day_open(self) -> int:
        """Return the equity in 1e-8 USD that the daily loss is measured from; 0 before the first
        valuation.
        """
        return self._portfolio.day_open

    def state(self) -> dict[str, Any]:
        """Return everything that decides later alerts, as plain values."""
        return {
            "alerts": self._alerts.state(),
            "breaker": self._breaker.state(),
            "feeds": self._feeds.state(),
            "books": self._books.state(),
            "prices": self._prices.state(),
            "positions": self._positions.state(),
            "orders": self._orders.state(),
            "surveillance": self._surveillance.state(),
            "venues": self._venues.state(),
            "reconciliation": self._reconciliation.state(),
            "portfolio": self._portfolio.state(),
        }

    def _on_start(self, message: Start, now: int) -> None:
        self._feeds.start(now)
        self._venues.start(now)
        beat = self._beat
        self._out.append(Wake(now - now % beat + beat + beat // 2, BEAT))

    def _on_wake(self, message: Wake, now: int) -> None:
        self._venues.evaluate(now)
        self._feeds.evaluate(now)
        self._books.evaluate(now)
        self._prices.evaluate(now)
        self._orders.evaluate(now)
        self._reconciliation.evaluate(now)
        report = self._portfolio.evaluate(now)
        self._alerts.settle(now)
        self._breaker.repeat(now)
        out = self._out
        if report is not None:
            out.append(report)
        out += self._venues.pings(now)
        out += self._reconciliation.queries(now)
        out.append(Wake(now + self._beat, BEAT))

    def _on_report(self, report: ExecutionReport, now: int) -> None:
        if report.execution_type is ExecutionType.TRADE:
            self._positions.on_fill(report)
        self._orders.on_report(report, now)
        self._surveillance.on_report(report, now)

    def _on_account(self, snapshot: AccountSnapshot, now: int) -> None:
        self._breaker.on_account(snapshot)
        self._reconciliation.on_account(snapshot, now)

    def _on_ping(self, message: Ping, now: int) -> None:
        self._out.append(answer_ping(self.name, message, now))

    def _on_acknowledge(self, message: AcknowledgeAlert, now: int) -> None:
        self._alerts.acknowledge(message.alert_id, message.by, now)

    def _on_silence(self, message: SilenceRule, now: int) -> None:
        self._alerts.silence(message.rule, message.subject, message.until, message.by)

    def _on_trip(self, message: TripBreaker, now: int) -> None:
        self._breaker.trip(message.state, message.reason, message.by, now)

    def _on_reset(self, message: ResetBreaker, now: int) -> None:
        self._portfolio.rebase()
        self._breaker.reset(message.reason, message.by, now)
