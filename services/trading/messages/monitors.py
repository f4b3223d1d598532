"""What the test coordinator hears of monitors of the user's; both messages come from outside."""

from trading.messages.base import Message


class MonitorAlert(Message):
    """An alert of the user's monitor ``monitor`` has fired, or is resolved.

    ``name`` is the name of the alert, and ``labels`` narrow it; both together identify it.
    ``observed`` is a text for people. ``claimed_time`` is when it happened according to the
    monitor, in microseconds; 0 if the monitor does not say. ``payload`` is what arrived, as text.
    """

    monitor: str
    name: str
    labels: dict[str, str]
    observed: str
    claimed_time: int
    resolved: bool
    payload: str


class MonitorFailed(Message):
    """The user's monitor ``monitor`` cannot be judged any more, for a reason of its own."""

    monitor: str
    reason: str
    event_time: int
