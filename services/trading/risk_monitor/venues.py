"""The availability of the services that the risk monitor depends on, by a ping per beat."""

from typing import Any

import msgspec

from trading.messages import Message
from trading.messages.market import Ping, Pong
from trading.risk_monitor.alerts import AlertBook
from trading.risk_monitor.rules import Controls
from trading.topology import RISK_MONITOR, SERVICES

#: Unanswered pings kept for each service.
_MAX_OUTSTANDING = 120


class Venue(msgspec.Struct, gc=False):
    """The pings to one service; times in simulated microseconds.

    ``answered`` is when the last ping that was answered had been sent. ``outstanding`` has the
    times of the pings without an answer, by nonce.
    """

    answered: int
    outstanding: dict[int, int] = {}


class Venues:
    """Pings the services that the risk monitor calls, and evaluates the rule venue-down."""

    def __init__(self, controls: Controls, alerts: AlertBook) -> None:
        self._alerts = alerts
        self._down_limit = controls.value("venue-down")
        self._venues = {name: Venue(0) for name in SERVICES[RISK_MONITOR].calls}
        self._nonce = 0

    def start(self, now: int) -> None:
        """Count every service as answering at the start."""
        for venue in self._venues.values():
            venue.answered = now

    def pings(self, now: int) -> list[Message]:
        """Return a ping for every service."""
        self._nonce += 1
        for venue in self._venues.values():
            venue.outstanding[self._nonce] = now
            if len(venue.outstanding) > _MAX_OUTSTANDING:
                del venue.outstanding[next(iter(venue.outstanding))]
        return [Ping(name, RISK_MONITOR, self._nonce) for name in self._venues]

    def on_pong(self, pong: Pong, now: int) -> None:
        """Mark the ping and all earlier ones as answered; ignore an unknown or late pong."""
        venue = self._venues.get(pong.source)
        if venue is None:
            return
        sent = venue.outstanding.pop(pong.nonce, None)
        if sent is not None and sent > venue.answered:
            venue.answered = sent
            for nonce in [n for n, at in venue.outstanding.items() if at <= sent]:
                del venue.outstanding[nonce]

    def evaluate(self, now: int) -> None:
        """Evaluate how long each service has not answered; call once per beat."""
        limit = self._down_limit
        if limit is None:
            return
        for name, venue in self._venues.items():
            silent = now - venue.answered
            since = next(iter(venue.outstanding.values()), now)
            if silent > limit:
                self._alerts.breach("venue-down", name, silent, since, now)
            elif self._alerts.active:
                self._alerts.clear("venue-down", name, now)

    def ages(self, now: int) -> dict[str, int]:
        """Return, by service, the simulated microseconds since its last answered ping was sent."""
        return {name: now - venue.answered for name, venue in self._venues.items()}

    def state(self) -> dict[str, Any]:
        """Return everything that decides later alerts, as plain values."""
        return {
            "nonce": self._nonce,
            "venues": {
                name: [v.answered, {str(n): at for n, at in v.outstanding.items()}]
                for name, v in self._venues.items()
            },
        }
