"""What every message is, and the three that the runtime itself gives and takes."""

import msgspec


class Message(msgspec.Struct, gc=False, tag=True, tag_field="msg"):
    """A record that moves between components. Treat as immutable once sent.

    The class name is its tag in JSON (``{"msg": "PriceTick", ...}``). ``gc=False``: messages
    hold no reference cycles, and a run makes millions of them.
    """


class Start(Message):
    """First message that a component gets; it answers with its first :class:`Wake`."""

    run_id: str


class Wake(Message):
    """Timer. As an output: deliver this same record to me when ``at`` is reached."""

    at: int
    topic: str


class Delayed(Message):
    """Output only: route ``message`` as usual, ``delay`` microseconds later than usual."""

    message: Message
    delay: int


class Delivered(Message):
    """From the runtime, beside what came over a link: everything of ``peer``'s journal up to
    ``seq`` that is for this service has arrived here.
    """

    peer: str
    seq: int
