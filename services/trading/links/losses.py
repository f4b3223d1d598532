"""Detects that a journal has fewer entries than peers have received from it.

A service sends over a link only what is durable. So a peer that has received a higher sequence
number than the journal has proves that entries were lost, whatever the database reports. Without
this check the peer would also ignore the service's next messages as duplicates.
"""

import logging
from collections.abc import Mapping

from trading.links.frames import FROM_NOW
from trading.runtime.journal import Journal

log = logging.getLogger(__name__)


class LossDetector:
    """Keeps, by peer, which entries of this service's journals were lost."""

    def __init__(self) -> None:
        self._losses: dict[str, str] = {}

    def problems(self) -> dict[str, str]:
        """Return a text for each peer that has received more than this service's journals have."""
        return {f"journal as {name} has heard it": why for name, why in self._losses.items()}

    def clear(self) -> None:
        """Forget all losses, because another session has other journals."""
        self._losses.clear()

    def check(self, journals: Mapping[str, Journal], name: str, after: Mapping[str, int]) -> str:
        """Compare this service's ``journals`` with the sequence numbers ``after`` that the instance
        ``name`` of a peer has received. Return why the link must be refused; empty if nothing is
        lost.
        """
        loss = _describe_loss(journals, name, after)
        if not loss:
            self._losses.pop(name, None)
        elif name not in self._losses:
            log.error("link to %s refused: %s", name, loss)
            self._losses[name] = loss
        return loss


def _describe_loss(journals: Mapping[str, Journal], name: str, after: Mapping[str, int]) -> str:
    for source, received in after.items():
        journal = journals.get(source)
        if journal is not None and received != FROM_NOW and received > journal.length:
            return (
                f"{name} has heard {received} entries of the journal of {source}, which has"
                f" {journal.length}: entries were lost. Restore it; or open another session, as"
                " every run does"
            )
    return ""
