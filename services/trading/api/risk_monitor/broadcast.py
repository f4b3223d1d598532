"""The stream `/events`, which sends every subscriber what has changed.

A component's decisions reach its projections before they are durable. The stream therefore keeps a
view of its own, which is fed only with messages that are durable, so that no client sees an alert
that a crash could take back.
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
from trading.hosting.live_session import PublishedMessage
from trading.messages import Message
from trading.messages.orders import KillSwitchChanged, SetKillSwitch
from trading.messages.risk import (
    AlertAcknowledged,
    AlertFired,
    AlertResolved,
    BreakerChanged,
    PortfolioReported,
)
from trading.risk_monitor import RiskMonitor
from trading.units import format_instant

#: Name of the projection that holds the risk view.
VIEW = "risk-monitor/view"

#: Types of messages that the host has to publish.
PUBLISHED: tuple[type[Message], ...] = (
    AlertFired,
    AlertResolved,
    AlertAcknowledged,
    BreakerChanged,
    PortfolioReported,
    SetKillSwitch,
    KillSwitchChanged,
)

#: Shortest time between two updates of the figures, wall seconds; alerts and the breaker are sent
#: at once.
FIGURES_INTERVAL = 0.05
#: Wall seconds without an event after which a keep-alive is sent.
KEEP_ALIVE = 5.0
#: Most streams at a time.
MAX_STREAMS = 1000
#: Events that may be queued for a stream before it is ended as too slow.
BACKLOG = 1000
#: Newest events that are kept, so that a client that reconnects can resume.
_MAX_RECENT = 1000
#: Most alerts in a full state.
_MAX_ALERTS = 200
#: Milliseconds after which a browser reconnects.
_RETRY_DELAY = 1000

_encode = msgspec.json.Encoder().encode


class Subscriber:
    """A client of the stream: the events that have yet to be sent, and the newest figures. Alerts
    are queued, figures are replaced by newer ones, so that a slow client does not fall behind for
    their sake.
    """

    def __init__(self) -> None:
        self._events: deque[bytes] = deque()
        self._figures = b""
        self._changed = asyncio.Event()
        self.ended = False

    def enqueue(self, event: bytes) -> None:
        """Queue an event; end the stream if too many are queued."""
        self._events.append(event)
        if len(self._events) > BACKLOG:
            self.ended = True
        self._changed.set()

    def replace_figures(self, event: bytes) -> None:
        """Replace the figures that have not been sent yet, if any."""
        self._figures = event
        self._changed.set()

    def end(self) -> None:
        """End the stream once the current chunk has been sent."""
        self.ended = True
        self._changed.set()

    async def next_chunk(self, max_wait: float) -> bytes:
        """Wait for events and return all that have been queued, in one piece; return b"" if there
        is none within `max_wait` wall seconds.
        """
        try:
            async with asyncio.timeout(max_wait):
                await self._changed.wait()
        except TimeoutError:
            return b""
        self._changed.clear()
        chunk = b"".join(self._events) + self._figures
        self._events.clear()
        self._figures = b""
        return chunk


class Broadcast:
    """Sends the changes of the risk view to all subscribers. `view` is the durable view. Each event
    is encoded once, however many subscribers there are.
    """

    def __init__(self, host: Host) -> None:
        self.view = RiskView()
        self._host = host
        self._taps: dict[type[Message], Callable[[Any, int], None]] = {}
        self._subscribers: set[Subscriber] = set()
        self._recent: deque[tuple[int, bytes]] = deque()
        #: Version of the view after which every event is in `_recent`.
        self._recent_after = 0
        self._figures_sent_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        host.listen(self._on_published)
        host.on_session(self._on_session)

    @property
    def full(self) -> bool:
        """Whether no further stream can be opened."""
        return len(self._subscribers) >= MAX_STREAMS

    async def stream(self, last_event_id: str) -> AsyncIterator[bytes]:
        """Yield chunks of server-sent events until :meth:`close`, or until the client is too slow.
        The stream resumes after `last_event_id` if all later events are still kept, and begins with
        the full state otherwise.
        """
        subscriber = Subscriber()
        subscriber.enqueue(b"retry: %d\n\n" % _RETRY_DELAY)
        for event in self._first_events(last_event_id):
            subscriber.enqueue(event)
        self._subscribers.add(subscriber)
        try:
            while not (subscriber.ended or self._closed):
                yield await subscriber.next_chunk(KEEP_ALIVE) or b": still here\n" + self._event({})
        finally:
            self._subscribers.discard(subscriber)

    def silences_changed(self) -> None:
        """Send the silences to all subscribers; called after an operator has begun or ended one."""
        event = self._event({"silences": self._silences()})
        for subscriber in self._subscribers:
            subscriber.enqueue(event)

    def close(self) -> None:
        """End all streams."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for subscriber in self._subscribers:
            subscriber.end()

    def _on_session(self) -> None:
        """Take over the view of a session that was opened or resumed: all of it is
        durable by then.
        """
        self.view = deepcopy(self._host.projection(RiskView))
        self._taps = self.view.taps()
        self._recent.clear()
        self._recent_after = self.view.version
        if self._subscribers:
            event = self._state()
            for subscriber in self._subscribers:
                subscriber.enqueue(event)

    def _on_published(self, published: Sequence[PublishedMessage]) -> None:
        latest = self._host.projection(RiskView)
        changed: dict[str, None] = {}
        breaker = figures = False
        for message, now in published:
            handle = self._taps.get(type(message))
            # A message that the session's own view has not processed is of the previous session.
            if handle is None or self.view.version >= latest.version:
                continue
            handle(message, now)
            if isinstance(message, AlertFired | AlertAcknowledged | AlertResolved):
                changed[message.alert_id] = None
            elif isinstance(message, BreakerChanged):
                breaker = True
            else:
                figures = True
        if changed or breaker:
            self._publish_alerts(changed, breaker)
        if figures:
            self._schedule_figures()

    def _publish_alerts(self, changed: dict[str, None], breaker: bool) -> None:
        alerts = self.view.alerts
        parts: JSON = {"alerts": [answers.alert(alerts[i]) for i in changed if i in alerts]}
        if breaker:
            parts["breaker"] = answers.breaker(self.view)
        event = self._event(parts, numbered=True)
        self._recent.append((self.view.version, event))
        if len(self._recent) > _MAX_RECENT:
            self._recent_after = self._recent.popleft()[0]
        for subscriber in self._subscribers:
            subscriber.enqueue(event)

    def _schedule_figures(self) -> None:
        if not self._subscribers or self._timer is not None or self._closed:
            return
        loop = asyncio.get_running_loop()
        wait = self._figures_sent_at + FIGURES_INTERVAL - loop.time()
        if wait > 0:
            self._timer = loop.call_later(wait, self._publish_figures)
        else:
            self._publish_figures()

    def _publish_figures(self) -> None:
        self._timer = None
        self._figures_sent_at = asyncio.get_running_loop().time()
        if self._subscribers:
            event = self._event(self._figures())
            for subscriber in self._subscribers:
                subscriber.replace_figures(event)

    def _first_events(self, last_event_id: str) -> list[bytes]:
        session, _, version = last_event_id.partition("-")
        if session == str(self._host.session_number) and version.isascii() and version.isdigit():
            client_version = int(version)
            if self._recent_after <= client_version <= self.view.version:
                missed = [event for at, event in self._recent if at > client_version]
                return [*missed, self._event({**self._figures(), "silences": self._silences()})]
        return [self._state()]

    def _state(self) -> bytes:
        parts = {
            **self._figures(),
            "alerts": answers.alerts(self.view)[:_MAX_ALERTS],
            "breaker": answers.breaker(self.view),
            "silences": self._silences(),
        }
        return self._event(parts, full=True, numbered=True)

    def _figures(self) -> JSON:
        monitor = self._host.component(RiskMonitor)
        universe = self._host.session.plan.universe
        return {
            "portfolio": answers.portfolio(self.view, monitor, universe),
            "exposures": exposures(self.view, monitor, universe),
            "health": answers.health(monitor, self._host.processed_until),
        }

    def _silences(self) -> list[JSON]:
        return answers.silences(self._host.component(RiskMonitor), self._host.processed_until)

    def _event(self, parts: JSON, *, full: bool = False, numbered: bool = False) -> bytes:
        """Encode an event. `numbered` gives it an id, which only those get after which a client can
        resume.
        """
        number = self._host.session_number
        head: JSON = {
            "full": full,
            "session": number,
            "time": format_instant(self._host.now),
            "speed": round(self._host.speed, 1),
            "alerts": [],
        }
        id_line = b"id: %d-%d\n" % (number, self.view.version) if numbered else b""
        return id_line + b"data: " + _encode({**head, **parts}) + b"\n\n"
