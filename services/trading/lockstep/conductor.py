"""The coordinator's part: keeps the time of a virtual run, and waits for whom it must."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress

from trading.hosting.host import Host
from trading.lockstep.follower import Follower
from trading.lockstep.packets import Dismissed, Grant, Joined, Report, Wish, Word
from trading.lockstep.timekeeper import TimeKeeper
from trading.topology import TEST_COORDINATOR

log = logging.getLogger(__name__)

#: Wall seconds between two looks at who is awaited.
_LOOK_EVERY = 0.5
#: Wall seconds that an instance which has others beside it has for its first appearance.
_GRACE = 10.0


class Conductor:
    """``participants``: by name, the service that each is an instance of; this process's own is
    among them. ``say``: to a participant elsewhere. ``patience``: wall seconds for which time
    waits for a service that is away, or does not answer; then ``failed`` hears why the run cannot
    go on. ``dismissed``: those of the participants that the run goes on without already.

    A participant that is lost, and whose service has another instance that is there, is dismissed:
    time does not wait for it, and nobody listens to it any more in this session.
    """

    def __init__(
        self,
        host: Host,
        participants: Mapping[str, str],
        say: Callable[[str, Word], None],
        follower: Follower,
        patience: float,
        failed: Callable[[str], None],
        dismissed: Collection[str] = (),
    ) -> None:
        self._host = host
        self._live = host.live
        self._say = say
        self.follower = follower
        self._patience = patience
        self._failed = failed
        self.keeper = TimeKeeper(participants, host.session.plan.start)
        self._dismissed = dict.fromkeys(dismissed)
        for name in self._dismissed:
            self.keeper.dismiss(name)
        #: Wall seconds that time stood still, by who reported, or came back, last.
        self.waited: dict[str, float] = dict.fromkeys(participants, 0.0)
        self._loop = asyncio.get_running_loop()
        self._began = self._progress = self._loop.time()
        self._sim_began: int | None = None
        self._turning = False
        self._ended = False
        self._held = False
        self._quiet = asyncio.Event()
        #: Asked before every round; True: it holds time, and releases it later.
        self.barrier: Callable[[], bool] = lambda: False
        #: Called when a participant is there, perhaps again.
        self.on_joined: Callable[[str], None] = lambda name: None
        #: Keeps that a participant is dismissed at a simulated time, before anybody hears of it.
        self.record: Callable[[str, int], Awaitable[None]] = _unrecorded
        #: Called when a participant is dismissed.
        self.on_dismissed: Callable[[str], None] = lambda name: None
        self._opened = self._began
        self._dismissing: asyncio.Task[None] | None = None
        self._watch = host.tasks.start("the watch over a run", self._watch_patience(), vital=True)
        self.keeper.joined(TEST_COORDINATOR, follower.joined())

    async def stop(self) -> None:
        """Grant no more time."""
        self._ended = True
        for task in (self._watch, self._dismissing):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    @property
    def everybody_is_there(self) -> bool:
        return not self.keeper.missing

    @property
    def waiting_for(self) -> list[str]:
        """Who keeps time from going on now."""
        return self.keeper.awaited

    def heard(self, name: str, word: Word) -> None:
        """A participant says something; words that are for others change nothing, nor do those of
        somebody who takes no part.
        """
        if name not in self.keeper:
            return
        if isinstance(word, Report):
            self._progress = self._loop.time()
            self.keeper.reported(name, word)
            if not self.keeper.awaited:
                self._count(name)
        elif isinstance(word, Joined):
            self._progress = self._loop.time()
            if name in self.keeper.awaited:
                self._count(name)
            if word.problem:
                self.fail(f"{name}: {word.problem}")
            for other in self._dismissed:
                self._say(name, Dismissed(other))
            if lost := self.keeper.joined(name, word):
                self._fail_for_lost(name, lost)
            self.on_joined(name)
        elif isinstance(word, Wish):
            self.keeper.wished(name)
        self.turn()

    def lost(self, name: str) -> None:
        """The connection to a participant has ended."""
        if name in self.keeper:
            if not self.keeper.awaited:
                self._began = self._loop.time()
            self.keeper.left(name)
            self.turn()

    def _count(self, name: str) -> None:
        """Until now time has waited for this one."""
        now = self._loop.time()
        self.waited[name] += now - self._began
        self._began = now

    async def hold(self) -> None:
        """Let time stand still until :meth:`release`; returns once everybody has received all that
        was sent to it.
        """
        self._held = True
        self._quiet.clear()
        self.keeper.resynchronise()
        self.turn()
        await self._quiet.wait()

    def release(self) -> None:
        """Let time go on."""
        self._held = False
        self._progress = self._loop.time()
        self.turn()

    def fail(self, why: str) -> None:
        """The run cannot go on."""
        if not self._ended:
            self._ended = True
            self._failed(why)

    def _fail_for_lost(self, name: str, senders: Collection[str]) -> None:
        who = ", ".join(senders)
        self.fail(f"{name} has lost what it had from {who}, which takes part no more")

    def turn(self) -> None:
        """Look soon whether the next round can begin."""
        if not self._turning and not self._ended:
            self._turning = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._turning = False
        if self._ended or self.follower.over:
            return
        self._dismiss_where_possible()
        if self._held:
            if self.keeper.synchronised:
                self._quiet.set()
        elif self._too_early() or (not self.keeper.awaited and self.barrier()):
            return
        self.keeper.ending = self._live.run_over or self._held
        grants = self.keeper.round()
        if not grants:
            return
        self._began = self._loop.time()
        own: Grant | None = None
        for name, grant in grants.items():
            if name == TEST_COORDINATOR:
                own = grant
            else:
                self._say(name, grant)
        if own is not None:
            self.follower.granted(own)

    def _dismiss_where_possible(self) -> None:
        """Leave out those that are away and that the run can go on without."""
        if self._dismissing is not None and not self._dismissing.done():
            return
        late = self._loop.time() - self._opened > _GRACE
        names = self.keeper.dispensable(unseen=late)
        if names:
            work = self._dismiss(names)
            self._dismissing = self._host.tasks.start("a dismissal", work, vital=True)

    async def _dismiss(self, names: Collection[str]) -> None:
        at = self._host.kernel.now
        for name in names:
            await self.record(name, at)
        for name in names:
            log.warning("%s is away: the run goes on without it from %d on", name, at)
            self._dismissed[name] = None
            for needing in self.keeper.dismiss(name):
                self._fail_for_lost(needing, [name])
            self.on_dismissed(name)
            for other in self.keeper.present:
                if other != TEST_COORDINATOR:
                    self._say(other, Dismissed(name))
        self._progress = self._loop.time()
        self.turn()

    def _too_early(self) -> bool:
        """Where the plan has a ceiling: wait until the wall clock has come so far."""
        speed = self._live.session.plan.speed
        if speed is None or self.keeper.awaited:
            return False
        if self._sim_began is None:
            self._sim_began, self._wall_began = self.keeper.now, self._loop.time()
        early = (self.keeper.now - self._sim_began) / 1e6 / speed
        wait = early - (self._loop.time() - self._wall_began)
        if wait <= 0:
            return False
        self._turning = True
        self._loop.call_later(wait, self._turn)
        return True

    async def _watch_patience(self) -> None:
        while not self._ended:
            await asyncio.sleep(_LOOK_EVERY)
            if self.follower.over:
                return
            self.turn()
            awaited = self.keeper.awaited
            waited = self._loop.time() - self._progress
            if awaited and waited > self._patience:
                names = ", ".join(awaited)
                self.fail(f"time waited {self._patience:g} s for {names} and cannot go on")


async def _unrecorded(name: str, at: int) -> None:
    """Nobody keeps it."""
