"""Records about stored journals: heads, segments, labels of sessions, and the errors of reading."""

from typing import NamedTuple

import msgspec

from trading.runtime.journal import GENESIS


class Head(NamedTuple):
    """The length of a journal, and the hash of its last entry."""

    length: int = 0
    hash: bytes = GENESIS


class SessionLabel(msgspec.Struct, frozen=True):
    """The part of a session's specification that readers of its journals need.

    ``run_id`` is empty between runs. ``opened`` is the wall time of the opening, ISO 8601.
    """

    run_id: str = ""
    opened: str = ""


decode_label = msgspec.json.Decoder(SessionLabel).decode


class RecoveryNeeds(msgspec.Struct, frozen=True):
    """The part of a session's journals that its process reads when it recovers from a snapshot.

    ``after`` maps each stored journal to the sequence number after which entries are read.
    ``copies`` lists those that are copies of other services' journals.
    """

    after: dict[str, int]
    copies: list[str] = []


class Segment(NamedTuple):
    """A sealed segment: the entries ``first`` to ``last`` of the journal ``source``.

    ``head`` is the hash of the last entry. ``size`` is the number of bytes that the entries take;
    0 where they have been dropped.
    """

    source: str
    first: int
    last: int
    head: bytes
    size: int


class EntriesLost(Exception):
    """The entries ``first`` to ``last`` of the journal ``source`` cannot be read any more."""

    def __init__(self, source: str, first: int, last: int, what: str) -> None:
        super().__init__(f"journal of {source}, entries {first} to {last}: {what}")
        self.source = source
        self.first = first
        self.last = last


class EntriesDamaged(EntriesLost):
    """The stored entries differ from those that were written; ``why`` says how."""

    def __init__(self, source: str, first: int, last: int, why: str) -> None:
        super().__init__(
            source,
            first,
            last,
            f"damaged: {why}. Restore the database from a backup, or start with fresh data",
        )


class EntriesDropped(EntriesLost):
    """The entries were dropped because of JOURNAL_RETENTION, or after they had been archived."""

    def __init__(self, source: str, first: int, last: int) -> None:
        super().__init__(
            source,
            first,
            last,
            "dropped, by JOURNAL_RETENTION or by trading archive create --drop. Read them in the"
            f" archive; the journal goes on after {last}",
        )
