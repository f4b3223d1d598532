"""What is said of a journal that is kept: its head, its segments, and why it cannot be read."""

from typing import NamedTuple

import msgspec

from trading.runtime.journal import GENESIS


class Head(NamedTuple):
    """How long a journal is, and its last hash."""

    length: int = 0
    hash: bytes = GENESIS


class Label(msgspec.Struct, frozen=True):
    """What the spec of a session says of it to whoever keeps its journals. ``run_id``: empty
    between runs; ``opened``: wall time, ISO 8601.
    """

    run_id: str = ""
    opened: str = ""


decode_label = msgspec.json.Decoder(Label).decode


class Needed(msgspec.Struct, frozen=True):
    """What of a session's journals is read when its process comes back: for each journal that is
    kept, the entries after ``after``. ``copies``: which of them are other services' own.
    """

    after: dict[str, int]
    copies: list[str] = []


class Segment(NamedTuple):
    """Entries ``first`` to ``last`` of the journal ``source``, sealed. ``head``: the hash of the
    last, ``size``: bytes that they take; 0 where they have been dropped.
    """

    source: str
    first: int
    last: int
    head: bytes
    size: int


class EntriesLost(Exception):
    """Entries ``first`` to ``last`` of the journal ``source`` cannot be read any more."""

    def __init__(self, source: str, first: int, last: int, what: str) -> None:
        super().__init__(f"journal of {source}, entries {first} to {last}: {what}")
        self.source = source
        self.first = first
        self.last = last


class EntriesDamaged(EntriesLost):
    """What is kept of them is not what was written."""

    def __init__(self, source: str, first: int, last: int, why: str) -> None:
        super().__init__(
            source,
            first,
            last,
            f"damaged: {why}. Restore the database from a backup, or start with fresh data",
        )


class EntriesDropped(EntriesLost):
    """They were dropped after JOURNAL_RETENTION, or into an archive."""

    def __init__(self, source: str, first: int, last: int) -> None:
        super().__init__(
            source,
            first,
            last,
            "dropped, by JOURNAL_RETENTION or by trading archive create --drop. Read them in the"
            f" archive; the journal goes on after {last}",
        )
