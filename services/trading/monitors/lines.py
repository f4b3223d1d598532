"""The protocol of monitors in lines of JSON: events and steps one way, answers the other way.

A step is one line for each event that has arrived at one instant, and then ``{"now": <time>}``. An
answer is ``{"alert": NAME, "labels": {...}, "observed": TEXT, "time": <time>}`` for each alert,
``{"resolve": NAME, "labels": {...}}`` for each that does not hold any more, ``{"kill": REASON}`` to
stop the firm's trading, and then ``{"done": <the time of the step>}``.
"""

from collections.abc import Sequence

import msgspec

from trading.monitors import events as event_types
from trading.monitors.answers import Alert, Answer, Kill, Resolve
from trading.monitors.events import Event

#: The events by their names.
EVENTS: dict[str, type[Event]] = {
    str(kind.__struct_config__.tag): kind
    for kind in vars(event_types).values()
    if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
}


class AnswerLine(msgspec.Struct, forbid_unknown_fields=True):
    """One line of an answer. ``events`` names the events that a program wants."""

    alert: str | None = None
    resolve: str | None = None
    kill: str | None = None
    labels: dict[str, str] = {}
    observed: str = ""
    time: int = 0
    events: list[str] | None = None
    done: int | None = None

    def answer(self) -> Answer:
        """Return the alert, resolved alert or request of this line. Raises ValueError if it has
        none, or several.
        """
        answers = [text for text in (self.alert, self.resolve, self.kill) if text is not None]
        if len(answers) != 1 or self.done is not None or self.events is not None:
            raise ValueError("expected one of alert, resolve, kill, done")
        if self.kill is not None:
            return Kill(reason=self.kill)
        if self.resolve is not None:
            return Resolve(name=self.resolve, labels=self.labels)
        return Alert(name=answers[0], labels=self.labels, observed=self.observed, time=self.time)


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(AnswerLine)


def encode_step(events: Sequence[Event], now: int) -> bytes:
    """Return the lines of a step at ``now``, in microseconds since 1970."""
    return b"".join([_encode(event) + b"\n" for event in events]) + b'{"now":%d}\n' % now


def decode_line(line: bytes) -> AnswerLine:
    """Decode one line of an answer. Raises ValueError."""
    try:
        return _decoder.decode(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
