"""``/events``: what changes, told to everybody who follows, as soon as it is durable.

The projection knows what has been decided; what is shown here is a second view that hears only of
what has been written, so that nobody sees an alert that a crash could take back.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from copy import deepcopy
from typing import Any

import msgspec

from trading.api.risk_monitor import answers
from trading.api.risk_monitor.answers import JSON
from trading.api.risk_monitor.utilisation import exposures
from trading.api.risk_monitor.view import RiskView
from trading.hosting.host import Host
from trading.hosting.live import Published
from trading.messages import Message
from trading.messages.orders import KillSwitchChanged, SetKillSwitch
from trading.messages.risk import (
    AlertAcknowledged,
    AlertFired,
    AlertResolved,
    BreakerChanged,
    PortfolioReported,
)
from trading.topology import RISK_MONITOR

VIEW = "risk-monitor/view"

#: What the host has to publish.
PUBLISHED: tuple[type[Message], ...] = (
    AlertFired,
    AlertResolved,
    AlertAcknowledged,
    BreakerChanged,
    PortfolioReported,
    SetKillSwitch,
    KillSwitchChanged,
)

#: Wall seconds between two updates of the figures; alerts and the breaker never wait.
FIGURES_EVERY = 0.05
#: Wall seconds until a stream on which nothing happens shows that it is alive.
KEEP_ALIVE = 5.0
#: Streams at a time; events that one of them may be behind before it is ended.
MAX_STREAMS = 1000
BACKLOG = 1000
#: Events that a client can catch up on, and alerts in a full state.
_REMEMBERED = 1000
_SHOWN = 200
#: Milliseconds after which a browser connects again.
_RETRY = 1000

_encode = msgspec.json.Encoder().encode


class Subscriber:
    """One stream: the events it has yet to be sent, and the newest figures."""

    def __init__(self) -> None:
        self._events: deque[bytes] = deque()
        self._figures = b""
        self._news = asyncio.Event()
        self.ended = False

    def put(self, event: bytes) -> None:
        self._events.append(event)
        if len(self._events) > BACKLOG:
            self.ended = True
        self._news.set()

    def put_figures(self, event: bytes) -> None:
        """Whoever is slow gets the newest ones only."""
        self._figures = event
        self._news.set()

    def end(self) -> None:
        self.ended = True
        self._news.set()

    async def take(self, seconds: float) -> bytes:
        """Everything that has gathered; empty if nothing has come for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return b""
        self._news.clear()
        found = b"".join(self._events) + self._figures
        self._events.clear()
        self._figures = b""
        return found


class Broadcast:
    """``view``: what is durable. Each event is encoded once, however many follow."""

    def __init__(self, host: Host) -> None:
        self.view = RiskView()
        self._host = host
        self._taps: dict[type[Message], Callable[[Any, int], None]] = {}
        self._subscribers: set[Subscriber] = set()
        self._recent: deque[tuple[int, bytes]] = deque()
        self._since = 0
        self._told_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        host.listen(self._hear)
        host.on_session(self._begin)

    @property
    def full(self) -> bool:
        return len(self._subscribers) >= MAX_STREAMS

    async def stream(self, last_event_id: str) -> AsyncIterator[bytes]:
        """From the event after ``last_event_id`` on where that is still known, from the full state
        otherwise; until :meth:`close`.
        """
        subscriber = Subscriber()
        subscriber.put(b"retry: %d\n\n" % _RETRY)
        for event in self._first(last_event_id):
            subscriber.put(event)
        self._subscribers.add(subscriber)
        try:
            while not (subscriber.ended or self._closed):
                yield await subscriber.take(KEEP_ALIVE) or b": still here\n" + self._event({})
        finally:
            self._subscribers.discard(subscriber)

    def silences_changed(self) -> None:
        """An operator has begun or ended one."""
        event = self._event({"silences": self._silences()})
        for subscriber in self._subscribers:
            subscriber.put(event)

    def close(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for subscriber in self._subscribers:
            subscriber.end()

    def _begin(self) -> None:
        """Everything that a session goes on with is durable."""
        self.view = deepcopy(self._host.projection(VIEW))
        self._taps = self.view.taps()
        self._recent.clear()
        self._since = self.view.version
        if self._subscribers:
            event = self._state()
            for subscriber in self._subscribers:
                subscriber.put(event)

    def _hear(self, published: Sequence[Published]) -> None:
        decided: RiskView = self._host.projection(VIEW)
        changed: dict[str, None] = {}
        breaker = figures = False
        for message, now in published:
            see = self._taps.get(type(message))
            # One that the session's own view does not know belongs to the session before.
            if see is None or self.view.version >= decided.version:
                continue
            see(message, now)
            if isinstance(message, AlertFired | AlertAcknowledged | AlertResolved):
                changed[message.alert_id] = None
            elif isinstance(message, BreakerChanged):
                breaker = True
            else:
                figures = True
        if changed or breaker:
            self._tell(changed, breaker)
        if figures:
            self._tell_figures_soon()

    def _tell(self, changed: dict[str, None], breaker: bool) -> None:
        known = self.view.alerts
        parts: JSON = {"alerts": [answers.alert(known[i]) for i in changed if i in known]}
        if breaker:
            parts["breaker"] = answers.breaker(self.view)
        event = self._event(parts, numbered=True)
        self._recent.append((self.view.version, event))
        if len(self._recent) > _REMEMBERED:
            self._since = self._recent.popleft()[0]
        for subscriber in self._subscribers:
            subscriber.put(event)

    def _tell_figures_soon(self) -> None:
        if not self._subscribers or self._timer is not None or self._closed:
            return
        loop = asyncio.get_running_loop()
        wait = self._told_at + FIGURES_EVERY - loop.time()
        if wait > 0:
            self._timer = loop.call_later(wait, self._tell_figures)
        else:
            self._tell_figures()

    def _tell_figures(self) -> None:
        self._timer = None
        self._told_at = asyncio.get_running_loop().time()
        if self._subscribers:
            event = self._event(self._figures())
            for subscriber in self._subscribers:
                subscriber.put_figures(event)

    def _first(self, last_event_id: str) -> list[bytes]:
        session, _, version = last_event_id.partition("-")
        if session == str(self._host.live.number) and version.isascii() and version.isdigit():
            seen = int(version)
            if self._since <= seen <= self.view.version:
                missed = [event for at, event in self._recent if at > seen]
                return [*missed, self._event({**self._figures(), "silences": self._silences()})]
        return [self._state()]

    def _state(self) -> bytes:
        parts = {
            **self._figures(),
            "alerts": answers.alerts(self.view)[:_SHOWN],
            "breaker": answers.breaker(self.view),
            "silences": self._silences(),
        }
        return self._event(parts, full=True, numbered=True)

    def _figures(self) -> JSON:
        monitor = self._host.component(RISK_MONITOR)
        universe = self._host.session.plan.universe
        return {
            "portfolio": answers.portfolio(self.view, monitor, universe),
            "exposures": exposures(self.view, monitor, universe),
            "health": answers.health(monitor, self._host.kernel.now),
        }

    def _silences(self) -> list[JSON]:
        return answers.silences(self._host.component(RISK_MONITOR), self._host.kernel.now)

    def _event(self, parts: JSON, *, full: bool = False, numbered: bool = False) -> bytes:
        """Only what a client can go on after carries an id."""
        number = self._host.live.number
        head: JSON = {
            "full": full,
            "session": number,
            "time": answers.instant(self._host.now),
            "speed": round(self._host.speed, 1),
            "alerts": [],
        }
        name = b"id: %d-%d\n" % (number, self.view.version) if numbered else b""
        return name + b"data: " + _encode({**head, **parts}) + b"\n\n"
