"""The base class of all messages, and the messages that the runtime itself sends or consumes."""

import msgspec


class Message(msgspec.Struct, gc=False, tag=True, tag_field="msg"):
    """A record that moves between components. Treat it as immutable once it is sent.

    The class name is its tag in JSON (``{"msg": "PriceTick", ...}``). ``gc=False``, because
    messages have no reference cycles and a run creates millions of them.
    """


class Start(Message):
    """The first message that a component receives; it answers with its first :class:`Wake`."""

    run_id: str


class Wake(Message):
    """A timer. A component that sends it receives the same record when time ``at`` is reached."""

    at: int
    topic: str


class Delayed(Message):
    """Only as a component's output: deliver ``message`` as usual, ``delay`` microseconds later."""

    message: Message
    delay: int


class Delivered(Message):
    """From the runtime, together with messages that a link delivered: this service has received
    everything that is for it in the journal of ``peer`` up to sequence number ``seq``.
    """

    peer: str
    seq: int
