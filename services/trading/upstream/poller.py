"""Asks the sources again and again, and knows at any time what the anchors are.

An outside API that fails, lies or is not there never stops anything: the last good anchor stays,
marked stale. Redis is asked first whose turn it is, so that services that share it, or start
again, keep within the rates that the APIs allow.
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from trading.runtime.tasks import Tasks
from trading.units import SECOND
from trading.upstream.anchors import NotPlausible, PriceAnchor, Quote, choose
from trading.upstream.cache import AnchorCache, CacheUnavailable
from trading.upstream.http import OK, Source, UpstreamError

log = logging.getLogger(__name__)

#: Longest pause after failures, seconds, unless a source asks for a longer one.
LONGEST_PAUSE = 300.0
#: Seconds after which a Redis that was away is tried again.
CACHE_RETRY = 5.0
#: In intervals: how long a question keeps others from asking. Less than one, so that who asked is
#: not in its own way the next time.
TURN = 0.95
#: In intervals: how long a quote can confirm an anchor, and an anchor be fresh without one.
_GOOD_FOR = 2
_FRESH_FOR = 3

Tell = Callable[[Sequence[PriceAnchor]], None]


class _Turn:
    """One source, when it is asked next (event loop's time), and what it said last."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.due = 0.0
        self.failures = 0
        self.failed_at = 0
        self.problem = ""
        self.outcome = ""
        self.quotes: dict[str, Quote] = {}
        self.answered_at = 0


class Poller:
    """``sources``: in order of preference. ``every``: seconds between two questions to each.
    ``cache``: None, where nothing is shared and nothing outlives the process.

    ``anchors``: the newest of each asset that has one; ``requests``: by (source, outcome).
    """

    def __init__(
        self,
        sources: Sequence[Source],
        assets: Sequence[str],
        every: float,
        cache: AnchorCache | None = None,
    ) -> None:
        self.anchors: dict[str, PriceAnchor] = {}
        self.requests: Counter[tuple[str, str]] = Counter()
        self.cache_problem = ""
        self.cached = cache is not None
        self._turns = [_Turn(source) for source in sources]
        self._assets = tuple(assets)
        self._every = every
        self._cache = cache
        self._unsaved: set[str] = set()
        self._doubts: dict[str, str] = {}
        self._stale: tuple[str, ...] = ()
        self._broken = ""
        self._tell: Tell = _nobody
        self._asked = asyncio.Event()
        self._stopping = False
        self._tasks = Tasks()
        self._task: asyncio.Task[None] | None = None

    @property
    def problems(self) -> dict[str, str]:
        """What is wrong now, by source."""
        return {t.source.name: t.problem for t in self._turns if t.problem}

    @property
    def stale(self) -> tuple[str, ...]:
        """Assets that are tied to a price that nobody could confirm."""
        return self._stale

    async def prepare(self, seconds: float) -> None:
        """Begin to ask, and wait for the first answers, but not longer than ``seconds``."""
        self._begin()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._asked.wait(), seconds)

    def start(self, tell: Tell) -> None:
        """From now on ``tell`` gets the anchors that are new or have changed."""
        self._tell = tell
        self._begin()

    def _begin(self) -> None:
        if self._task is None:
            self._task = self._tasks.start("the poller of real prices", self._run())

    async def stop(self) -> None:
        """Returns once nothing is asked any more."""
        self._stopping = True
        while self._task is not None and not self._task.done():
            # Client libraries have been seen to swallow one.
            self._task.cancel()
            await asyncio.wait([self._task], timeout=0.5)
        for turn in self._turns:
            await turn.source.close()
        if self._cache is not None:
            await self._cache.close()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        begun = False
        while not self._stopping:
            try:
                if not begun:
                    await self._adopt()
                    begun = True
                await self._round()
                self._broken = ""
            except Exception as error:
                if self._broken != type(error).__name__:
                    self._broken = type(error).__name__
                    log.exception("anchors could not be brought up to date")
            self._asked.set()
            soonest = min((turn.due for turn in self._turns), default=loop.time() + self._every)
            wait = max(soonest - loop.time(), 0.01 if not self._broken else CACHE_RETRY)
            await asyncio.sleep(min(wait, CACHE_RETRY) if self.cache_problem else wait)

    async def _round(self) -> None:
        now = asyncio.get_running_loop().time()
        due = [turn for turn in self._turns if turn.due <= now]
        ours = await asyncio.gather(*(self._ask(turn, now) for turn in due))
        if not all(ours):
            await self._adopt()
        self._weigh()
        await self._save()

    async def _ask(self, turn: _Turn, began: float) -> bool:
        """False where it is somebody else's turn. All sources are asked in step, so that one
        question's answers are weighed against each other.
        """
        loop = asyncio.get_running_loop()
        name = turn.source.name
        if wait := await self._claim(name):
            turn.due = loop.time() + wait
            return False
        try:
            quotes = await turn.source.quotes(self._assets, _now())
        except UpstreamError as error:
            self.requests[name, error.outcome] += 1
            turn.failures += 1
            turn.failed_at = _now()
            turn.quotes = {}
            pause = self._every * 2 ** min(turn.failures - 1, 16)
            pause = max(min(pause, LONGEST_PAUSE), self._every, error.retry_after)
            turn.due = loop.time() + pause
            turn.problem = str(error)
            if turn.outcome != error.outcome:
                log.warning("%s %s; asked again in %.0f s", name, error, pause)
            turn.outcome = error.outcome
            await self._hold(name, pause)
        else:
            self.requests[name, OK] += 1
            if turn.failures:
                log.info("%s answers again", name)
            turn.failures = 0
            turn.problem = ""
            turn.outcome = OK
            turn.quotes = quotes
            turn.answered_at = _now()
            turn.due = began + self._every
        return True

    def _weigh(self) -> None:
        """What the sources say becomes anchors, or leaves them stale."""
        changed = []
        for asset in self._assets:
            before = self.anchors.get(asset)
            after = self._weighed(asset, before)
            if after is not None and after != before:
                self.anchors[asset] = after
                self._unsaved.add(asset)
                changed.append(after)
        if changed:
            self._tell(changed)
        self._report()

    def _weighed(self, asset: str, last: PriceAnchor | None) -> PriceAnchor | None:
        now = _now()
        good_for = round(_GOOD_FOR * self._every * SECOND)
        said = {
            turn.source.name: (turn.quotes[asset], turn.answered_at)
            for turn in self._turns
            if asset in turn.quotes and now - turn.answered_at <= good_for
        }
        if said:
            try:
                source, quote = choose({name: q for name, (q, _) in said.items()}, last)
            except NotPlausible as doubt:
                self._doubt(asset, str(doubt))
                return replace(last, stale=True) if last is not None else None
            self._doubt(asset, "")
            at = said[source][1]
            if last is None or at >= last.observed_at:
                return PriceAnchor(asset, quote.price, source, quote.event_time, at)
        if last is None:
            return None
        failed = not said and any(
            turn.failures and turn.failed_at >= last.observed_at for turn in self._turns
        )
        old = now - last.observed_at > _FRESH_FOR * self._every * SECOND
        return replace(last, stale=True) if failed or old else last

    def _doubt(self, asset: str, why: str) -> None:
        if bool(why) != bool(self._doubts.get(asset)):
            if why:
                log.warning("%s: %s", asset, why)
            else:
                log.info("%s: sources agree again", asset)
        self._doubts[asset] = why

    def _report(self) -> None:
        stale = tuple(name for name, anchor in self.anchors.items() if anchor.stale)
        if stale == self._stale:
            return
        self._stale = stale
        if stale:
            log.warning("real prices are stale: %s; the last good ones hold", ", ".join(stale))
        else:
            log.info("real prices are fresh again")

    async def _claim(self, source: str) -> float:
        if self._cache is None:
            return 0.0
        try:
            wait = await self._cache.claim(source, self._every * TURN)
        except CacheUnavailable as error:
            self._cache_is(str(error))
            return 0.0
        self._cache_is("")
        return wait

    async def _hold(self, source: str, seconds: float) -> None:
        if self._cache is not None:
            try:
                await self._cache.hold(source, seconds)
            except CacheUnavailable as error:
                self._cache_is(str(error))

    async def _adopt(self) -> None:
        """Take what others, or this service before it ended, have left in the cache."""
        if self._cache is None:
            return
        try:
            kept = await self._cache.load(self._assets, _now())
        except CacheUnavailable as error:
            self._cache_is(str(error))
            return
        self._cache_is("")
        changed = []
        for anchor in kept:
            mine = self.anchors.get(anchor.asset)
            if mine is None or anchor.observed_at > mine.observed_at:
                self.anchors[anchor.asset] = anchor
                changed.append(anchor)
        if changed:
            self._tell(changed)
            self._report()

    async def _save(self) -> None:
        if self._cache is None or not (self._unsaved or self.cache_problem):
            return
        saved = [self.anchors[asset] for asset in self.anchors if asset in self._unsaved]
        try:
            await self._cache.save(saved or self.anchors.values())
        except CacheUnavailable as error:
            self._cache_is(str(error))
            return
        self._unsaved.clear()
        self._cache_is("")

    def _cache_is(self, problem: str) -> None:
        if bool(problem) != bool(self.cache_problem):
            if problem:
                log.warning("the cache of prices: %s; going on without it", problem)
            else:
                log.info("the cache of prices is back")
                self._unsaved.update(self.anchors)
        self.cache_problem = problem


def _now() -> int:
    return time.time_ns() // 1000


def _nobody(anchors: Sequence[PriceAnchor]) -> None:
    return
