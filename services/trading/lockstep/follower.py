"""A participant of a virtual run: handles the instants that it is granted, and reports.

An instant is reported to the time keeper only after it has been handled; if something from outside
arrived at it, only after that is durable. Everything else may be lost with the process, because the
participant computes it again from its journal and the messages that its peers send again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from trading.hosting.host import Host
from trading.hosting.inputs import Unavailable
from trading.lockstep.packets import Control, Grant, Joined, Report, Resume, SentFrame
from trading.lockstep.receipts import LostMessages, Receipts
from trading.messages import Message

log = logging.getLogger(__name__)

#: Wall seconds until a store that was unavailable is tried again.
_RETRY_DELAY = 0.05
#: Called with an instant; returns None if nothing has to be done in the real world before it, or
#: what must be awaited, which gives the messages from outside that arrive at the instant.
Prepare = Callable[[int], Awaitable[Sequence[Message] | None] | None]
#: Returns the next instant before which something must be done in the real world, though no message
#: is due at it; None if there is none.
Appointment = Callable[[], int | None]


class Follower:
    """Drives the kernel of ``host`` in one session of virtual time.

    ``send`` sends a control message to the time keeper. ``notify`` is called with the services that
    there are new messages for. ``prepare`` and ``appointment`` connect the participant with the
    real world; ``prepare`` may be called again for the same instant if the connection to the time
    keeper was lost meanwhile.
    """

    def __init__(
        self,
        host: Host,
        send: Callable[[Control], None],
        notify: Callable[[Sequence[str]], None],
        prepare: Prepare | None = None,
        appointment: Appointment = lambda: None,
    ) -> None:
        self._host = host
        self._live = host.live
        self._send = send
        self._notify = notify
        self._prepare = prepare
        self._appointment = appointment
        self.receipts = Receipts(host.kernel)
        self._grant: Grant | None = None
        #: Number of the last message that was reported to the time keeper, by receiver.
        self._reported: dict[str, int] = {}
        self._busy: asyncio.Task[None] | None = None
        self._preparing = self._join_later = False
        #: Whether there is something that cannot be sent or computed again: it must be durable
        #: before the next report.
        self._must_be_durable = False
        #: Why this participant cannot continue the run; empty if it can.
        self.problem = ""
        #: Whether it has received all that was sent to it, once since this process started.
        self._received_all = False
        for stream in self._live.streams.values():
            # What led to these messages is in the journal, or is computed again before a report.
            stream.release()

    @property
    def over(self) -> bool:
        """Whether the session has ended or its time follows the wall clock by now."""
        return self._live.lockstep_over

    def caught_up(self, before: int) -> bool:
        """Return whether this participant has handled everything from before a simulated time.
        After a restart it takes a while until it has.
        """
        next_at = self._due
        return self._received_all and (next_at is None or next_at >= before)

    def join(self) -> None:
        """Report to the time keeper, to which the connection was lost, how far this participant is.

        A preparation is cancelled, because the time keeper may itself have to repeat instants
        first. An instant that is being made durable is completed before.
        """
        if self._busy is not None and not self._preparing:
            self._join_later = True
            return
        if self._busy is not None:
            self._busy.cancel()
            self._busy, self._preparing = None, False
        self._send(self.joined())

    def joined(self) -> Joined:
        """Return the report on how far this participant is, and forget the present grant."""
        live = self._live
        self._grant = None
        self._reported = {name: stream.last for name, stream in live.streams.items()}
        return Joined(
            live.processed_until,
            self._next_at,
            self._reported.copy(),
            self._host.has_inputs,
            self.problem,
        )

    def resume(self, sender: str, resume: Resume) -> None:
        """Handle the beginning of a connection from a sender. Raises LostMessages."""
        self.receipts.resume(sender, resume)
        self._continue()

    def receive(self, sender: str, service: str, first: int, frames: Sequence[SentFrame]) -> None:
        """Handle messages of ``sender``, an instance of ``service``; the first has the number
        ``first``. Raises LostMessages.
        """
        self.receipts.receive(sender, service, first, frames)
        self._continue()

    def dismiss(self, sender: str, service: str) -> None:
        """Ignore the messages of an instance that does not take part any more. What it has sent is
        stored nowhere else, so everything that followed from it is made durable before the next
        report.
        """
        self.receipts.dismiss(sender, service)
        self._must_be_durable = True
        self._continue()

    def fail(self, error: LostMessages) -> None:
        """Report to the time keeper that this participant cannot continue the run."""
        log.error("this process cannot continue the run: %s", error)
        self.problem = str(error)
        self._send(self.joined())

    def granted(self, grant: Grant) -> None:
        """Handle a grant of the time keeper."""
        self._grant = grant
        self._continue()

    def _continue(self) -> None:
        """Handle what is granted if all messages that belong to it have come."""
        grant = self._grant
        if grant is None or self._busy is not None or self.over:
            return
        if not self.receipts.complete(grant.expected):
            return
        self._grant = None
        if grant.inputs and self._host.place_inputs(grant.until):
            self._must_be_durable = True
        # The store has to keep up, or entries that are not written yet fill the memory.
        self._must_be_durable = self._must_be_durable or self._host.full
        preparation = self._preparation(grant)
        if preparation is not None or self._must_be_durable:
            work = self._advance_with_waiting(grant, preparation)
            self._busy = self._host.tasks.start("the follower of a run", work, vital=True)
            return
        self._host.advance(grant.until)
        self._report(grant)

    @property
    def _due(self) -> int | None:
        """The next instant at which this participant has something to do; None if there is none."""
        next_at, appointment = self._live.next_at, self._appointment()
        if next_at is None or appointment is None:
            return appointment if next_at is None else next_at
        return min(next_at, appointment)

    @property
    def _next_at(self) -> int:
        """As :attr:`_due`, in the form of the reports, where -1 means never."""
        due = self._due
        return -1 if due is None else due

    def _preparation(self, grant: Grant) -> Awaitable[Sequence[Message] | None] | None:
        """Return what must be awaited before the next instant, if that is granted; None for
        nothing.
        """
        due = self._due
        if self._prepare is None or due is None or due > grant.until:
            return None
        return self._prepare(due)

    async def _advance_with_waiting(
        self, grant: Grant, preparation: Awaitable[Sequence[Message] | None] | None
    ) -> None:
        """Handle the granted instants with the preparation of each, and report when what came from
        outside is durable.
        """
        while preparation is not None:
            due = self._due or grant.until
            self._preparing = True
            messages = await preparation
            # A cancellation can get lost (CPython before 3.12, gh-86296).
            if self.over or self._busy is not asyncio.current_task():
                return
            self._preparing = False
            for message in messages or ():
                self._live.place(message, due)
                self._must_be_durable = True
            self._host.advance(due)
            preparation = self._preparation(grant)
        self._host.advance(grant.until)
        while self._must_be_durable:
            self._must_be_durable = False
            if not await self._wait_durable():
                return
        self._busy = None
        if self._join_later:
            self._join_later = False
            self._release()
            self._send(self.joined())
        else:
            self._report(grant)
        self._continue()

    async def _wait_durable(self) -> bool:
        """Wait until everything decided is durable. Return False if the session has ended or its
        time follows the wall clock by now.
        """
        while not self.over:
            try:
                await self._host.durable()
            except Unavailable:
                await asyncio.sleep(_RETRY_DELAY)
                continue
            return True
        return False

    def _report(self, grant: Grant) -> None:
        """Release the new messages, and report to the time keeper that a grant is completed."""
        live = self._live
        self._received_all = True
        self._release()
        sent: dict[str, tuple[int, int]] = {}
        for name, stream in live.streams.items():
            reported = self._reported.get(name, 0)
            if stream.last > reported:
                arrival = min(frame.arrival for frame in stream.after(reported))
                sent[name] = (stream.last, arrival)
                self._reported[name] = stream.last
        self._send(Report(grant.number, self._next_at, sent, self._host.has_inputs))

    def _release(self) -> None:
        """Allow the links to send all new messages, and notify them."""
        streams = self._live.streams
        new = [name for name, stream in streams.items() if stream.released < stream.last]
        for name in new:
            streams[name].release()
        if new:
            self._notify(new)
