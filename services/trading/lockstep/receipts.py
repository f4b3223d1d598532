"""What has come from other services in virtual time: each message once, and in its place."""

from collections.abc import Mapping, Sequence

from trading.hosting.host import Host
from trading.lockstep.packets import Resume, SentFrame
from trading.runtime.agenda import Origin, rank_of


class LostMessages(Exception):
    """Messages that this service needs are kept nowhere any more."""


class Receipts:
    """Counts the messages of each sender in one session, and puts them into the kernel."""

    def __init__(self, host: Host) -> None:
        self._kernel = host.kernel
        #: The moment up to which this service has come back: what arrived before has been handled.
        self._back_at = host.kernel.now
        self._received: dict[str, int] = {}
        self._dismissed: set[str] = set()

    def number(self, sender: str) -> int:
        """Number of the last message that has been received; 0: none since this process began."""
        return self._received.get(sender, 0)

    def resume(self, sender: str, word: Resume) -> None:
        """The sender says from where on it repeats its messages. What it keeps no more must have
        been handled before this process began: a sender that comes back decides it again, and
        forgets it, perhaps unsent, as soon as it hears how far this service is. Raises
        LostMessages.
        """
        if sender in self._dismissed or word.after <= self._received.get(sender, -1):
            return
        if word.forgotten_until > self._back_at:
            raise LostMessages(
                f"{sender} repeats its messages from {word.after + 1} on and keeps none from before"
            )
        self._received[sender] = word.after

    def dismiss(self, sender: str, service: str) -> None:
        """Take nothing from the sender any more, and wait for nothing; what has come from it and
        is not handled yet is lost, as what was under way.
        """
        self._dismissed.add(sender)
        self._kernel.lose(rank_of(service, sender))

    def take(self, sender: str, service: str, first: int, frames: Sequence[SentFrame]) -> None:
        """Take messages, the first with number ``first``; ``service``: the sender is an instance
        of it. Those that were received before are dropped. Raises LostMessages at a gap.
        """
        if sender in self._dismissed:
            return
        received = self._received.get(sender, 0)
        if frames and first > received + 1:
            raise LostMessages(f"{sender}: message {first} came after {received}")
        rank = rank_of(service, sender)
        for number, frame in enumerate(frames, first):
            if number <= received:
                continue
            received = number
            if frame.arrival > self._kernel.now:
                origin = Origin(frame.sent_at, rank, number)
                self._kernel.arrive(frame.to, frame.message, frame.arrival, origin)
            elif frame.arrival > self._back_at:
                raise LostMessages(f"{sender}: a message for {frame.arrival} came too late")
        self._received[sender] = received

    def complete(self, expected: Mapping[str, int]) -> bool:
        """Has everything come that was sent? Of a dismissed sender nothing more comes."""
        received, dismissed = self._received, self._dismissed
        return all(
            received.get(sender, 0) >= number or sender in dismissed
            for sender, number in expected.items()
        )
