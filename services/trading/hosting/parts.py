"""Finds the parts of a session, its components and its projections, by their classes."""

from collections.abc import Iterable
from typing import Protocol, TypeVar, runtime_checkable

_Part = TypeVar("_Part")


class NotInSession(LookupError):
    """The session has no part of the class that was asked for; the text names those it has."""


@runtime_checkable
class JournalAuditor(Protocol):
    """The component that reads the journals of all components.

    This package may not import the components, so it says here what it needs of the one.
    """

    def read_to(self, source: str) -> int:
        """Return the sequence number up to which a journal was read; 0 for an unknown one."""
        ...

    def positions(self) -> dict[str, int]:
        """Return how far each journal was read, by its name."""
        ...


def part_of_class(kind: type[_Part], parts: Iterable[object]) -> _Part:
    """Return the first of ``parts`` that is an instance of ``kind``. Raises NotInSession."""
    names = []
    for part in parts:
        if isinstance(part, kind):
            return part
        names.append(type(part).__name__)
    raise NotInSession(f"no {kind.__name__} here, only: {', '.join(names) or 'nothing'}")
