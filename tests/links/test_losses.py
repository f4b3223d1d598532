"""A peer that has received more entries of a journal than it has proves a loss."""

from typing import Any

import pytest

from trading.links.frames import FROM_NOW
from trading.links.inbound import ProtocolViolation
from trading.links.losses import LossDetector
from trading.links.virtual import VirtualInboundLink
from trading.messages import Wake
from trading.runtime.journal import Journal, MemoryJournal


@pytest.fixture
def journals() -> dict[str, Journal]:
    """Return the journal of the exchange with three entries."""
    journal = MemoryJournal("exchange")
    for at in range(3):
        journal.append(at, "Wake", Wake(at, "tick"))
    return {"exchange": journal}


@pytest.mark.parametrize("heard", [{}, {"exchange": 0}, {"exchange": 3}, {"exchange": FROM_NOW}])
def test_a_peer_that_has_heard_no_more_is_welcome(
    journals: dict[str, Journal], heard: dict[str, int]
) -> None:
    losses = LossDetector()
    assert losses.check(journals, "risk-monitor", heard) == "" and not losses.problems()


def test_a_peer_that_has_heard_more_is_refused_until_it_has_not(
    journals: dict[str, Journal],
) -> None:
    losses = LossDetector()
    why = losses.check(journals, "risk-monitor", {"exchange": 4, "network": 9})
    assert why.startswith(
        "risk-monitor has heard 4 entries of the journal of exchange, which has 3"
    )
    assert losses.problems() == {"journal as risk-monitor has heard it": why}
    assert losses.check(journals, "custodian", {"exchange": 3}) == ""
    assert len(losses.problems()) == 1
    assert losses.check(journals, "risk-monitor", {"exchange": 3}) == ""
    assert not losses.problems()


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "{}", "\x00"])
def test_a_peer_that_says_nonsense_misbehaves(text: str) -> None:
    links: Any = None
    with pytest.raises(ProtocolViolation, match="risk-monitor"):
        VirtualInboundLink(links, "risk-monitor", "risk-monitor", chaos=False).receive(text)
