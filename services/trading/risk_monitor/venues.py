"""Is everybody there? The services that the risk monitor depends on, asked once a beat."""

from typing import Any

import msgspec

from trading.messages import Message
from trading.messages.market import Ping, Pong
from trading.risk_monitor.alerts import AlertBook
from trading.risk_monitor.rules import Controls
from trading.topology import RISK_MONITOR, SERVICES

#: Requests without an answer that are remembered for each service.
_REMEMBERED = 120


class Venue(msgspec.Struct, gc=False):
    """``answered``: when the last request that was answered had been sent. ``asked``: nonce ->
    time of the requests that are still without an answer.
    """

    answered: int
    asked: dict[int, int] = {}


class Venues:
    def __init__(self, controls: Controls, alerts: AlertBook) -> None:
        self._alerts = alerts
        self._down = controls.value("venue-down")
        self._venues = {name: Venue(0) for name in SERVICES[RISK_MONITOR].calls}
        self._nonce = 0

    def start(self, now: int) -> None:
        for venue in self._venues.values():
            venue.answered = now

    def ask(self, now: int) -> list[Message]:
        self._nonce += 1
        for venue in self._venues.values():
            venue.asked[self._nonce] = now
            if len(venue.asked) > _REMEMBERED:
                del venue.asked[next(iter(venue.asked))]
        return [Ping(name, RISK_MONITOR, self._nonce) for name in self._venues]

    def on_pong(self, pong: Pong, now: int) -> None:
        venue = self._venues.get(pong.source)
        if venue is None:
            return
        sent = venue.asked.pop(pong.nonce, None)
        if sent is not None and sent > venue.answered:
            venue.answered = sent
            for nonce in [n for n, at in venue.asked.items() if at <= sent]:
                del venue.asked[nonce]

    def evaluate(self, now: int) -> None:
        limit = self._down
        if limit is None:
            return
        for name, venue in self._venues.items():
            silent = now - venue.answered
            since = next(iter(venue.asked.values()), now)
            if silent > limit:
                self._alerts.breach("venue-down", name, silent, since, now)
            elif self._alerts.active:
                self._alerts.clear("venue-down", name, now)

    def ages(self, now: int) -> dict[str, int]:
        """Microseconds since the last question that each venue has answered."""
        return {name: now - venue.answered for name, venue in self._venues.items()}

    def state(self) -> dict[str, Any]:
        return {
            "nonce": self._nonce,
            "venues": {
                name: [v.answered, {str(n): at for n, at in v.asked.items()}]
                for name, v in self._venues.items()
            },
        }
