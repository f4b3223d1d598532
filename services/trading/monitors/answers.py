"""What a monitor answers: alerts, their end, and requests to stop the firm's trading."""

import msgspec

#: Limits of one answer, in characters and labels.
MAX_NAME, MAX_TEXT, MAX_LABELS = 100, 1000, 20

_NAME = msgspec.Meta(min_length=1, max_length=MAX_NAME)
_TEXT = msgspec.Meta(max_length=MAX_TEXT)


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert fires.

    ``name`` is the name of the alert; the same name with the same ``labels`` fires once until it is
    resolved. A label ``subject`` says what is concerned, such as a symbol or an account.
    ``observed`` is a text for people, and ``time`` is when it happened in microseconds since 1970,
    0 for now.
    """

    name: str
    labels: dict[str, str] = {}
    observed: str = ""
    time: int = 0


class Resolve(msgspec.Struct, frozen=True, kw_only=True):
    """The alert of this ``name`` and these ``labels`` does not hold any more."""

    name: str
    labels: dict[str, str] = {}


class Kill(msgspec.Struct, frozen=True, kw_only=True):
    """Stop the firm's trading: the circuit breaker halts, as if an operator had asked for it."""

    reason: str


Answer = Alert | Resolve | Kill


def problem(answer: object) -> str:
    """Say what is wrong with an answer; return an empty text if it is right."""
    if isinstance(answer, Kill):
        return _text_problem("reason", answer.reason, MAX_TEXT)
    if not isinstance(answer, Alert | Resolve):
        return f"expected Alert, Resolve or Kill, got {type(answer).__name__}"
    if not isinstance(answer.name, str) or not answer.name:
        return "an alert needs a name"
    labels = answer.labels
    if not isinstance(labels, dict) or len(labels) > MAX_LABELS:
        return f"labels: expected at most {MAX_LABELS}"
    texts = [("name", answer.name, MAX_NAME)]
    for label, value in labels.items():
        texts += [("labels", label, MAX_NAME), ("labels", value, MAX_TEXT)]
    if isinstance(answer, Alert):
        texts.append(("observed", answer.observed, MAX_TEXT))
        if type(answer.time) is not int or not 0 <= answer.time < 2**63:
            return "time: expected microseconds since 1970"
    return next((p for text in texts if (p := _text_problem(*text))), "")


def _text_problem(field: str, text: object, limit: int) -> str:
    if not isinstance(text, str):
        return f"{field}: expected a text, got {type(text).__name__}"
    return f"{field}: longer than {limit} characters" if len(text) > limit else ""
