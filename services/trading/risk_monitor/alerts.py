"""The life cycle of alerts: firing, acknowledged, resolved; one at a time per rule and subject."""

from typing import Any, Protocol

import msgspec

from trading.messages import Message
from trading.messages.risk import AlertAcknowledged, AlertFired, AlertResolved
from trading.risk_monitor.limits import describe
from trading.risk_monitor.rules import RULES, Controls

#: A condition is over when its value is back below this share of the limit.
CLEAR_PERCENT = 80

Key = tuple[str, str]


class Alert(msgspec.Struct, gc=False):
    """``breaching``: the condition holds right now; otherwise it has been clear since
    ``clear_since``. ``silent``: its rule was silenced, nobody has been told.
    """

    alert_id: str
    rule: str
    subject: str
    observed: str
    event_time: int
    fired_at: int
    breaching: bool
    clear_since: int
    silent: bool = False
    acknowledged: bool = False


class Silence(msgspec.Struct, frozen=True, gc=False):
    """No new alert of ``rule`` on ``subject`` ("*": any) until ``until``; ``by``: who wanted it."""

    rule: str
    subject: str
    until: int
    by: str


class Reaction(Protocol):
    """What acts on alerts: the circuit breaker."""

    def on_breach(self, rule: str, subject: str, observed: str, now: int) -> None: ...

    def on_resolved(self, rule: str, subject: str, now: int) -> None: ...


class AlertBook:
    """``resolve_after``: how long a condition must be clear before its alert resolves, so that
    alerts do not flap. Messages go to ``out``.

    A silenced rule tells nobody, but the breaker still acts on it.
    """

    def __init__(
        self, controls: Controls, *, resolve_after: int, reaction: Reaction, out: list[Message]
    ) -> None:
        self._controls = controls
        self._resolve_after = resolve_after
        self._reaction = reaction
        self._out = out
        self._counts: dict[Key, int] = {}
        self._silenced: dict[Key, Silence] = {}
        self.active: dict[Key, Alert] = {}

    def check(
        self, rule: str, subject: str, value: int, limit: int, event_time: int, now: int
    ) -> None:
        """Judge one reading of a condition: over its limit, clear, or in between (no change)."""
        if value > limit:
            self.breach(rule, subject, value, event_time, now)
        else:
            self.ease(rule, subject, value, limit, now)

    def ease(self, rule: str, subject: str, value: int, limit: int, now: int) -> None:
        """A reading within its limit: the condition is over if it is far enough within."""
        if self.active and value * 100 <= limit * CLEAR_PERCENT:
            self.clear(rule, subject, now)

    def breach(
        self, rule: str, subject: str, observed: int | str, event_time: int, now: int
    ) -> None:
        """The condition holds, until :meth:`clear`."""
        self._raise(rule, subject, observed, event_time, now).breaching = True

    def notice(
        self, rule: str, subject: str, observed: int | str, event_time: int, now: int
    ) -> None:
        """Something happened that is over at once."""
        alert = self._raise(rule, subject, observed, event_time, now)
        alert.breaching = False
        alert.clear_since = now

    def clear(self, rule: str, subject: str, now: int) -> None:
        """The condition does not hold."""
        alert = self.active.get((rule, subject))
        if alert is not None and alert.breaching:
            alert.breaching = False
            alert.clear_since = now

    def settle(self, now: int) -> None:
        """Resolve what has been clear long enough; fire what is no longer silenced."""
        for key, alert in list(self.active.items()):
            if alert.breaching:
                if alert.silent and not self._is_silenced(key, now):
                    self._fire(alert, now)
            elif now - alert.clear_since >= self._resolve_after:
                del self.active[key]
                if not alert.silent:
                    self._out.append(
                        AlertResolved(
                            alert.alert_id, alert.rule, alert.subject, alert.fired_at, now
                        )
                    )
                self._reaction.on_resolved(alert.rule, alert.subject, now)

    def acknowledge(self, alert_id: str, by: str, now: int) -> None:
        """An unknown, resolved or already acknowledged alert is left as it is."""
        for alert in self.active.values():
            if alert.alert_id == alert_id and not alert.acknowledged and not alert.silent:
                alert.acknowledged = True
                self._out.append(AlertAcknowledged(alert_id, alert.rule, alert.subject, by, now))

    def silence(self, rule: str, subject: str, until: int, by: str) -> None:
        """No new alert of a known rule until then; ``subject`` "*": on any."""
        if rule in RULES:
            self._silenced[rule, subject] = Silence(rule, subject, until, by)

    def silences(self, now: int) -> list[Silence]:
        """Those that have not ended, in the order in which they were first asked for."""
        return [s for s in self._silenced.values() if s.until > now]

    def state(self) -> dict[str, Any]:
        return {
            "active": [msgspec.to_builtins(a) for a in self.active.values()],
            "counts": {f"{r}/{s}": n for (r, s), n in self._counts.items()},
            "silenced": {f"{r}/{s}": told.until for (r, s), told in self._silenced.items()},
        }

    def _raise(
        self, rule: str, subject: str, observed: int | str, event_time: int, now: int
    ) -> Alert:
        key = (rule, subject)
        alert = self.active.get(key)
        if alert is not None:
            if alert.silent and not self._is_silenced(key, now):
                self._fire(alert, now)
            return alert
        number = self._counts[key] = self._counts.get(key, 0) + 1
        if isinstance(observed, int):
            observed = describe(RULES[rule].unit, observed)
        alert = self.active[key] = Alert(
            f"{rule}/{subject}/{number}",
            rule,
            subject,
            observed,
            event_time,
            now,
            breaching=True,
            clear_since=0,
            silent=True,
        )
        if not self._is_silenced(key, now):
            self._fire(alert, now)
        self._reaction.on_breach(rule, subject, observed, now)
        return alert

    def _fire(self, alert: Alert, now: int) -> None:
        rule = alert.rule
        limit = self._controls.limit(rule)
        alert.silent = False
        alert.fired_at = now
        self._out.append(
            AlertFired(
                alert.alert_id,
                rule,
                alert.subject,
                RULES[rule].severity,
                alert.observed,
                limit.text if limit is not None else "",
                alert.event_time,
                now,
            )
        )

    def _is_silenced(self, key: Key, now: int) -> bool:
        silenced = self._silenced
        if not silenced:
            return False
        rule, _ = key
        for found in (silenced.get(key), silenced.get((rule, "*"))):
            if found is not None and found.until > now:
                return True
        return False
