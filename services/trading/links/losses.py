"""Notices that a journal has fewer entries than others have heard of.

What a service says over a link is durable before. So a peer that has heard more of its journal than
there is proves that entries were lost, whatever the database says of itself; and it would take
what the service says next for what it has heard already.
"""

import logging
from collections.abc import Mapping

from trading.links.frames import FROM_NOW
from trading.runtime.journal import Journal

log = logging.getLogger(__name__)


class Losses:
    """What peers have heard of this service and is not there any more."""

    def __init__(self) -> None:
        self._found: dict[str, str] = {}

    def problems(self) -> dict[str, str]:
        """By what is compared: what is lost."""
        return {f"journal as {name} has heard it": why for name, why in self._found.items()}

    def clear(self) -> None:
        """Begin anew, in another session."""
        self._found.clear()

    def check(self, journals: Mapping[str, Journal], name: str, after: Mapping[str, int]) -> str:
        """Compare this service's ``journals`` with what the instance ``name`` of a peer says that
        it has heard of them, ``after``. Return why there can be no link; empty: there can.
        """
        lost = _lost(journals, name, after)
        if not lost:
            self._found.pop(name, None)
        elif name not in self._found:
            log.error("no link to %s: %s", name, lost)
            self._found[name] = lost
        return lost


def _lost(journals: Mapping[str, Journal], name: str, after: Mapping[str, int]) -> str:
    for source, heard in after.items():
        journal = journals.get(source)
        if journal is not None and heard != FROM_NOW and heard > journal.length:
            return (
                f"{name} has heard {heard} entries of the journal of {source}, which has"
                f" {journal.length}: entries were lost. Restore it; or open another session, as"
                " every run does"
            )
    return ""
