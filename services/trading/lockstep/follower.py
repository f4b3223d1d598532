"""A service in virtual time: does what it is granted, and reports."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from trading.hosting.host import Host
from trading.hosting.inputs import Unavailable
from trading.lockstep.packets import Grant, Joined, Report, Resume, SentFrame, Word
from trading.lockstep.receipts import LostMessages, Receipts
from trading.messages import Message

log = logging.getLogger(__name__)

_RETRY = 0.05
#: Does what must be done in the real world before an instant; None: nothing. Finds the messages
#: from outside that arrive at it.
Prepare = Callable[[int], Awaitable[Sequence[Message] | None] | None]
#: When something must be done in the real world next, though no message is due; None: never.
Appointment = Callable[[], int | None]


class Follower:
    """Drives the host's kernel in one session. ``say``: to the time keeper; ``sent``: there are
    new messages for these services. ``prepare`` may be called again for the same instant, when the
    time keeper was away meanwhile.
    """

    def __init__(
        self,
        host: Host,
        say: Callable[[Word], None],
        sent: Callable[[Sequence[str]], None],
        prepare: Prepare | None = None,
        appointment: Appointment = lambda: None,
    ) -> None:
        self._host = host
        self._live = host.live
        self._say = say
        self._sent = sent
        self._prepare = prepare
        self._appointment = appointment
        self.receipts = Receipts(host)
        self._grant: Grant | None = None
        self._told: dict[str, int] = {}
        self._busy: asyncio.Task[None] | None = None
        self._preparing = self._join_later = False
        #: Has something come that nobody can send again? It is durable before the next report.
        self._unsettled = False
        self.problem = ""
        #: Since this process began, has it once received all that was sent to it?
        self._received_all = False
        for stream in self._live.streams.values():
            # What leads to it was in the journal, or is decided again before anybody hears of it.
            stream.release()

    @property
    def over(self) -> bool:
        """Is this another session by now, or does its time go by the wall clock?"""
        return self._host.live is not self._live or not self._live.in_lockstep

    def caught_up(self, before: int) -> bool:
        """Has this service done everything from before that time? After it has come back it takes
        a while until it has.
        """
        next_at = self._due
        return self._received_all and (next_at is None or next_at >= before)

    def join(self) -> None:
        """Tell the time keeper, who was away, where this service stands. What it prepares is left
        aside: the time keeper may itself have to do something again first. What it has decided is
        made durable first.
        """
        if self._busy is not None and not self._preparing:
            self._join_later = True
            return
        if self._busy is not None:
            self._busy.cancel()
            self._busy, self._preparing = None, False
        self._say(self.joined())

    def joined(self) -> Joined:
        """Where this service stands, for the time keeper."""
        live = self._live
        self._grant = None
        self._told = {name: stream.last for name, stream in live.streams.items()}
        return Joined(
            live.kernel.now,
            self._next_at,
            self._told.copy(),
            self._host.has_inputs,
            self.problem,
        )

    def resume(self, sender: str, word: Resume) -> None:
        """A sender has connected, perhaps again. Raises LostMessages."""
        self.receipts.resume(sender, word)
        self._try()

    def take(self, sender: str, service: str, first: int, frames: Sequence[SentFrame]) -> None:
        """Messages have come. Raises LostMessages."""
        self.receipts.take(sender, service, first, frames)
        self._try()

    def dismiss(self, sender: str, service: str) -> None:
        """The time keeper says that an instance of a service takes part no more: take nothing from
        it, and wait for nothing. What it has sent is kept nowhere else, so all that followed from
        that is durable before the time keeper hears anything from here again.
        """
        self.receipts.dismiss(sender, service)
        self._unsettled = True
        self._try()

    def fail(self, error: LostMessages) -> None:
        """Say that this service cannot go on with the run."""
        log.error("this run cannot go on here: %s", error)
        self.problem = str(error)
        self._say(self.joined())

    def granted(self, grant: Grant) -> None:
        """The time keeper grants time."""
        self._grant = grant
        self._try()

    def _try(self) -> None:
        """Do what is granted, once everything has come that belongs to it."""
        grant = self._grant
        if grant is None or self._busy is not None or self.over:
            return
        if not self.receipts.complete(grant.expected):
            return
        self._grant = None
        if grant.inputs and self._host.place_inputs(grant.until):
            self._unsettled = True
        # The store has to keep up: what is decided faster than it is written fills the memory.
        self._unsettled = self._unsettled or self._host.full
        work = self._to_prepare(grant)
        if work is not None or self._unsettled:
            running = self._advance_slowly(grant, work)
            self._busy = self._host.tasks.start("the follower of a run", running, vital=True)
            return
        self._host.advance(grant.until)
        self._report(grant)

    @property
    def _due(self) -> int | None:
        """When this service has something to do next, by its own word."""
        next_at, appointment = self._live.kernel.next_at, self._appointment()
        if next_at is None or appointment is None:
            return appointment if next_at is None else next_at
        return min(next_at, appointment)

    @property
    def _next_at(self) -> int:
        """As :attr:`_due`, as it is said to the time keeper; -1: never."""
        due = self._due
        return -1 if due is None else due

    def _to_prepare(self, grant: Grant) -> Awaitable[Sequence[Message] | None] | None:
        """What the next instant needs from the real world, if it is granted."""
        due = self._due
        if self._prepare is None or due is None or due > grant.until:
            return None
        return self._prepare(due)

    async def _advance_slowly(
        self, grant: Grant, work: Awaitable[Sequence[Message] | None] | None
    ) -> None:
        """Instant by instant, with what each needs from the real world; what came from outside is
        on the disk before anybody hears of what follows from it.
        """
        kernel = self._live.kernel
        while work is not None:
            due = self._due or grant.until
            self._preparing = True
            found = await work
            # Whoever is cancelled may not notice (CPython before 3.12, gh-86296).
            if self.over or self._busy is not asyncio.current_task():
                return
            self._preparing = False
            for message in found or ():
                kernel.place(kernel.hosted[0].name, message, due)
                self._unsettled = True
            self._host.advance(due)
            work = self._to_prepare(grant)
        self._host.advance(grant.until)
        while self._unsettled:
            self._unsettled = False
            if not await self._durable():
                return
        self._busy = None
        if self._join_later:
            self._join_later = False
            self._release()
            self._say(self.joined())
        else:
            self._report(grant)
        self._try()

    async def _durable(self) -> bool:
        """Wait until everything is; False when this session's time goes by the wall clock."""
        while not self.over:
            try:
                await self._host.durable()
            except Unavailable:
                await asyncio.sleep(_RETRY)
                continue
            return True
        return False

    def _report(self, grant: Grant) -> None:
        live = self._live
        self._received_all = True
        self._release()
        sent: dict[str, tuple[int, int]] = {}
        for name, stream in live.streams.items():
            told = self._told.get(name, 0)
            if stream.last > told:
                arrival = min(frame.arrival for frame in stream.after(told))
                sent[name] = (stream.last, arrival)
                self._told[name] = stream.last
        self._say(Report(grant.number, self._next_at, sent, self._host.has_inputs))

    def _release(self) -> None:
        """Let what has been decided be sent."""
        streams = self._live.streams
        new = [name for name, stream in streams.items() if stream.released < stream.last]
        for name in new:
            streams[name].release()
        if new:
            self._sent(new)
