"""Receives the messages of other services in virtual time: each once, and in its place.

Every sender numbers its messages. After a restart of either side messages are sent again; the
numbers tell which of them are new.
"""

from collections.abc import Mapping, Sequence

from trading.lockstep.packets import Resume, SentFrame
from trading.runtime.agenda import Origin, rank_of
from trading.runtime.kernel import Kernel


class LostMessages(Exception):
    """Raised when messages that this service needs are not stored anywhere any more."""


class Receipts:
    """Counts the messages of each sender in one session, and puts them into its ``kernel``."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        #: The simulated time that this service was restored to: earlier messages were handled.
        self._restored_at = kernel.now
        self._received: dict[str, int] = {}
        self._dismissed: set[str] = set()

    def last_received(self, sender: str) -> int:
        """Return the number of the last message from a sender; 0 if none has come since this
        process started.
        """
        return self._received.get(sender, 0)

    def resume(self, sender: str, resume: Resume) -> None:
        """Note from which number on a sender repeats its messages. Earlier ones must have been
        handled before this process started: a sender that restarts computes them again, and drops
        them, perhaps without sending them, when it receives how far this service is durable.
        Raises LostMessages if one was not handled.
        """
        if sender in self._dismissed or resume.after <= self._received.get(sender, -1):
            return
        if resume.forgotten_until > self._restored_at:
            raise LostMessages(
                f"{sender} repeats its messages from {resume.after + 1} on"
                " and keeps none from before"
            )
        self._received[sender] = resume.after

    def dismiss(self, sender: str, service: str) -> None:
        """Ignore all further messages of a sender, wait for none, and drop those that are not
        handled yet, as if they had been lost on the way.
        """
        self._dismissed.add(sender)
        self._kernel.drop_from(rank_of(service, sender))

    def receive(self, sender: str, service: str, first: int, frames: Sequence[SentFrame]) -> None:
        """Put messages of ``sender``, an instance of ``service``, into the kernel; the first has
        the number ``first``. Those that were received before are dropped. Raises LostMessages if a
        message is missing or comes too late.
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
            elif frame.arrival > self._restored_at:
                raise LostMessages(f"{sender}: a message for {frame.arrival} came too late")
        self._received[sender] = received

    def complete(self, expected: Mapping[str, int]) -> bool:
        """Return whether all expected messages have come, given the number of the last one by
        sender. From a dismissed sender none are expected.
        """
        received, dismissed = self._received, self._dismissed
        return all(
            received.get(sender, 0) >= number or sender in dismissed
            for sender, number in expected.items()
        )
