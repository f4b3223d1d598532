"""The life cycle of alerts: firing, acknowledged, resolved.

For each rule and subject at most one alert is active. Rules report readings of their conditions;
the alert book fires an alert when a condition begins to hold, and resolves it when the condition
has been clear for some time, so that alerts do not flap.
"""

from typing import Any, Protocol

import msgspec

from trading.messages import Message
from trading.messages.risk import AlertAcknowledged, AlertFired, AlertResolved
from trading.risk_monitor.limits import describe
from trading.risk_monitor.rules import RULES, Controls

#: A condition is clear when its value is at or below this percentage of the limit.
CLEAR_PERCENT = 80

Key = tuple[str, str]


class ActiveAlert(msgspec.Struct, gc=False):
    """An active alert of one rule on one subject.

    ``breaching`` is true while the condition holds; otherwise it has been clear since
    ``clear_since``. ``silent`` is true while the rule is silenced: the alert has not been
    published. All times are in simulated microseconds: ``event_time`` is when the condition arose
    in the data, ``fired_at`` when the alert was published (or created, while it is silent).
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
    """Suppresses new alerts of ``rule`` on ``subject`` ("*": every subject) up to the simulated
    time ``until``, in microseconds. ``by`` names the user who requested the silence.
    """

    rule: str
    subject: str
    until: int
    by: str


class Reaction(Protocol):
    """The interface of what reacts to alerts, silenced ones included: the circuit breaker."""

    def on_breach(self, rule: str, subject: str, observed: str, now: int) -> None:
        """React to a new alert; ``observed`` is the offending reading as text."""
        ...

    def on_resolved(self, rule: str, subject: str, now: int) -> None:
        """React to the end of an alert."""
        ...


class AlertBook:
    """Keeps the active alerts and the silences.

    ``controls`` has the limits in force. ``resolve_after`` is how many simulated microseconds a
    condition must be clear before its alert is resolved. ``reaction`` is notified of every alert,
    and messages to publish are appended to ``out``. ``active`` has the active alerts by rule and
    subject.

    A silenced alert is not published, but the reaction (the circuit breaker) still acts on it.
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
        self.active: dict[Key, ActiveAlert] = {}

    def check(
        self, rule: str, subject: str, value: int, limit: int, event_time: int, now: int
    ) -> None:
        """Compare a reading with its limit: above it the condition holds, well below it is clear,
        and in between nothing changes. ``event_time`` is when the reading was true.
        """
        if value > limit:
            self.breach(rule, subject, value, event_time, now)
        else:
            self.ease(rule, subject, value, limit, now)

    def ease(self, rule: str, subject: str, value: int, limit: int, now: int) -> None:
        """Process a reading within its limit: clear the condition if the reading is low enough."""
        if self.active and value * 100 <= limit * CLEAR_PERCENT:
            self.clear(rule, subject, now)

    def breach(
        self, rule: str, subject: str, observed: int | str, event_time: int, now: int
    ) -> None:
        """Report that the condition holds from now on, until :meth:`clear`."""
        self._activate(rule, subject, observed, event_time, now).breaching = True

    def notice(
        self, rule: str, subject: str, observed: int | str, event_time: int, now: int
    ) -> None:
        """Report a single event: fire an alert whose condition is clear again at once."""
        alert = self._activate(rule, subject, observed, event_time, now)
        alert.breaching = False
        alert.clear_since = now

    def clear(self, rule: str, subject: str, now: int) -> None:
        """Report that the condition does not hold; nothing happens if no alert is active."""
        alert = self.active.get((rule, subject))
        if alert is not None and alert.breaching:
            alert.breaching = False
            alert.clear_since = now

    def settle(self, now: int) -> None:
        """Resolve alerts that have been clear long enough; fire those whose silence has ended."""
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
        """Acknowledge an active alert; ignore one that is unknown, resolved or acknowledged
        already.
        """
        for alert in self.active.values():
            if alert.alert_id == alert_id and not alert.acknowledged and not alert.silent:
                alert.acknowledged = True
                self._out.append(AlertAcknowledged(alert_id, alert.rule, alert.subject, by, now))

    def silence(self, rule: str, subject: str, until: int, by: str) -> None:
        """Suppress new alerts of ``rule`` until then; ignore a rule that does not exist."""
        if rule in RULES:
            self._silenced[rule, subject] = Silence(rule, subject, until, by)

    def silences(self, now: int) -> list[Silence]:
        """Return the silences that have not ended, in the order in which they were requested."""
        return [s for s in self._silenced.values() if s.until > now]

    def state(self) -> dict[str, Any]:
        """Return everything that decides later alerts, as plain values."""
        return {
            "active": [msgspec.to_builtins(a) for a in self.active.values()],
            "counts": {f"{r}/{s}": n for (r, s), n in self._counts.items()},
            "silenced": {f"{r}/{s}": silence.until for (r, s), silence in self._silenced.items()},
        }

    def _activate(
        self, rule: str, subject: str, observed: int | str, event_time: int, now: int
    ) -> ActiveAlert:
        key = (rule, subject)
        alert = self.active.get(key)
        if alert is not None:
            if alert.silent and not self._is_silenced(key, now):
                self._fire(alert, now)
            return alert
        number = self._counts[key] = self._counts.get(key, 0) + 1
        if isinstance(observed, int):
            observed = describe(RULES[rule].unit, observed)
        alert = self.active[key] = ActiveAlert(
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

    def _fire(self, alert: ActiveAlert, now: int) -> None:
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
        silences = self._silenced
        if not silences:
            return False
        rule, _ = key
        for silence in (silences.get(key), silences.get((rule, "*"))):
            if silence is not None and silence.until > now:
                return True
        return False
