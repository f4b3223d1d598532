"""The coordinator's part of virtual time: sends the time keeper's grants, waits for the
participants, and goes on without those that the run can do without.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Protocol

from trading.hosting.host import Host
from trading.lockstep.follower import Follower
from trading.lockstep.packets import Control, Dismissed, Grant, Joined, Report, Wish
from trading.lockstep.timekeeper import TimeKeeper
from trading.topology import TEST_COORDINATOR

log = logging.getLogger(__name__)

#: Wall seconds between two checks of how long time has been waiting.
_CHECK_INTERVAL = 0.5
#: Wall seconds after which an instance that has never joined counts as lost, if its service has
#: another instance.
_FIRST_JOIN_TIMEOUT = 10.0


class ConductorObserver(Protocol):
    """What a conductor asks its owner before time goes on, and what it tells its owner."""

    def must_hold(self) -> bool:
        """Return whether no time may be granted now. Then :meth:`Conductor.release` follows."""
        ...

    def on_joined(self, name: str) -> None:
        """Handle that a participant has joined, perhaps after a restart."""
        ...

    async def record_dismissal(self, name: str, at: int) -> None:
        """Store that a participant is dismissed at a simulated time, before anything follows."""
        ...

    def on_dismissed(self, name: str) -> None:
        """Handle that a participant is dismissed."""
        ...

    def on_failed(self, why: str) -> None:
        """Handle that the run cannot go on."""
        ...


class Conductor:
    """Keeps the time of the session that ``host`` is in.

    ``participants`` has the service of each instance that takes part, this process included;
    ``dismissed`` are those of them that the run continues without already. ``send`` sends a control
    message to another participant, and ``follower`` handles the grants of this process. Time waits
    ``patience`` wall seconds for a participant that is absent or does not report; after that
    the run cannot go on, and ``observer`` is told why.

    A participant that is lost, and whose service has another instance that is present, is
    dismissed: time does not wait for it, and its messages are ignored in this session.
    """

    def __init__(
        self,
        host: Host,
        participants: Mapping[str, str],
        send: Callable[[str, Control], None],
        follower: Follower,
        patience: float,
        observer: ConductorObserver,
        dismissed: Collection[str] = (),
    ) -> None:
        self._host = host
        self._live = host.live
        self._speed_limit = host.session.plan.speed
        self._send = send
        self.follower = follower
        self._patience = patience
        self._observer = observer
        self.keeper = TimeKeeper(participants, host.session.plan.start)
        self._dismissed = dict.fromkeys(dismissed)
        for name in self._dismissed:
            self.keeper.dismiss(name)
        #: Wall seconds that time stood still, by the participant that reported or joined last.
        self.waited: dict[str, float] = dict.fromkeys(participants, 0.0)
        self._loop = asyncio.get_running_loop()
        #: When time last began to wait, and when a participant last reported or joined, in seconds
        #: of the event loop's clock.
        self._waiting_since = self._last_progress = self._loop.time()
        #: The instant, and the event loop's time, at which the plan's speed limit began to count.
        self._limit_began: tuple[int, float] | None = None
        self._round_scheduled = False
        self._ended = False
        self._held = False
        self._synchronised = asyncio.Event()
        self._started = self._waiting_since
        self._dismissing: asyncio.Task[None] | None = None
        self._watch = host.tasks.start("the watch over a run", self._watch_progress(), vital=True)
        self.keeper.on_joined(TEST_COORDINATOR, follower.joined())

    async def stop(self) -> None:
        """Grant no more time."""
        self._ended = True
        for task in (self._watch, self._dismissing):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    @property
    def all_present(self) -> bool:
        """Whether all participants are connected."""
        return not self.keeper.absent

    @property
    def waiting_for(self) -> list[str]:
        """The participants that time waits for now."""
        return self.keeper.awaited

    def receive(self, name: str, control: Control) -> None:
        """Handle a control message of a participant. Those of other senders, and those that are not
        for a time keeper, are ignored.
        """
        if name not in self.keeper:
            return
        if isinstance(control, Report):
            self._last_progress = self._loop.time()
            self.keeper.on_report(name, control)
            if not self.keeper.awaited:
                self._add_waiting_time(name)
        elif isinstance(control, Joined):
            self._last_progress = self._loop.time()
            if name in self.keeper.awaited:
                self._add_waiting_time(name)
            if control.problem:
                self.fail(f"{name}: {control.problem}")
            for other in self._dismissed:
                self._send(name, Dismissed(other))
            if lost := self.keeper.on_joined(name, control):
                self._fail_for_lost_messages(name, lost)
            self._observer.on_joined(name)
        elif isinstance(control, Wish):
            self.keeper.on_wish(name)
        self.schedule_round()

    def disconnected(self, name: str) -> None:
        """Note that the connection to a participant has ended."""
        if name in self.keeper:
            if not self.keeper.awaited:
                self._waiting_since = self._loop.time()
            self.keeper.on_disconnected(name)
            self.schedule_round()

    def _add_waiting_time(self, name: str) -> None:
        """Count the wall time since time began to wait for a participant."""
        now = self._loop.time()
        self.waited[name] += now - self._waiting_since
        self._waiting_since = now

    async def hold(self) -> None:
        """Let time stand still until :meth:`release`. Returns when all participants have received
        everything that was sent to them.
        """
        self._held = True
        self._synchronised.clear()
        self.keeper.resynchronise()
        self.schedule_round()
        await self._synchronised.wait()

    def release(self) -> None:
        """Let time go on after :meth:`hold`."""
        self._held = False
        self._last_progress = self._loop.time()
        self.schedule_round()

    def fail(self, why: str) -> None:
        """Report why the run cannot go on, and grant no more time."""
        if not self._ended:
            self._ended = True
            self._observer.on_failed(why)

    def _fail_for_lost_messages(self, name: str, senders: Collection[str]) -> None:
        names = ", ".join(senders)
        self.fail(f"{name} has lost what it had from {names}, which takes part no more")

    def schedule_round(self) -> None:
        """Decide soon on the next grants."""
        if not self._round_scheduled and not self._ended:
            self._round_scheduled = True
            self._loop.call_soon(self._run_round)

    def _run_round(self) -> None:
        self._round_scheduled = False
        if self._ended or self.follower.over:
            return
        self._dismiss_where_possible()
        if self._held:
            if self.keeper.synchronised:
                self._synchronised.set()
        elif self._delay_for_speed() or (not self.keeper.awaited and self._observer.must_hold()):
            return
        self.keeper.ending = self._live.run_over or self._held
        grants = self.keeper.next_grants()
        if not grants:
            return
        self._waiting_since = self._loop.time()
        own: Grant | None = None
        for name, grant in grants.items():
            if name == TEST_COORDINATOR:
                own = grant
            else:
                self._send(name, grant)
        if own is not None:
            self.follower.granted(own)

    def _dismiss_where_possible(self) -> None:
        """Start to dismiss the absent participants if the run can continue without them."""
        if self._dismissing is not None and not self._dismissing.done():
            return
        late = self._loop.time() - self._started > _FIRST_JOIN_TIMEOUT
        names = self.keeper.dispensable(unseen=late)
        if names:
            work = self._dismiss(names)
            self._dismissing = self._host.tasks.start("a dismissal", work, vital=True)

    async def _dismiss(self, names: Collection[str]) -> None:
        at = self._host.processed_until
        for name in names:
            await self._observer.record_dismissal(name, at)
        for name in names:
            log.warning("%s is absent: the run continues without it from %d on", name, at)
            self._dismissed[name] = None
            for needing in self.keeper.dismiss(name):
                self._fail_for_lost_messages(needing, [name])
            self._observer.on_dismissed(name)
            for other in self.keeper.present:
                if other != TEST_COORDINATOR:
                    self._send(other, Dismissed(name))
        self._last_progress = self._loop.time()
        self.schedule_round()

    def _delay_for_speed(self) -> bool:
        """Return whether simulated time is ahead of the plan's speed limit; then the next round is
        scheduled for when the wall clock has caught up.
        """
        speed = self._speed_limit
        if speed is None or self.keeper.awaited:
            return False
        if self._limit_began is None:
            self._limit_began = self.keeper.now, self._loop.time()
        sim_began, wall_began = self._limit_began
        due = (self.keeper.now - sim_began) / 1e6 / speed
        wait = due - (self._loop.time() - wall_began)
        if wait <= 0:
            return False
        self._round_scheduled = True
        self._loop.call_later(wait, self._run_round)
        return True

    async def _watch_progress(self) -> None:
        """Fail the run when time has waited longer than ``patience``."""
        while not self._ended:
            await asyncio.sleep(_CHECK_INTERVAL)
            if self.follower.over:
                return
            self.schedule_round()
            awaited = self.keeper.awaited
            waited = self._loop.time() - self._last_progress
            if awaited and waited > self._patience:
                names = ", ".join(awaited)
                self.fail(f"time waited {self._patience:g} s for {names} and cannot go on")
