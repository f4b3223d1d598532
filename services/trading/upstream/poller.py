"""Polls the price sources at an interval and keeps the current price anchor of every asset.

An API that fails, is wrong or cannot be reached never stops the service: the last good anchor is
kept and marked stale. Before each request a turn is claimed in Redis, so that services that share
it, or restart, stay within the rate limits of the APIs.
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from trading.runtime.tasks import BackgroundTasks
from trading.units import SECOND
from trading.upstream.anchors import ImplausiblePrice, PriceAnchor, Quote, choose_quote
from trading.upstream.cache import AnchorCache, CacheUnavailable
from trading.upstream.http import OK, Source, UpstreamError

log = logging.getLogger(__name__)

#: Longest delay after failures in seconds, unless a source asks for a longer one.
_MAX_RETRY_DELAY = 300.0
#: Delay in seconds before the next attempt, after Redis or the polling itself has failed.
_CACHE_RETRY_DELAY = 5.0
#: How long a request claims the turn, in intervals. Less than one, so that the claim has expired
#: when the same service sends its next request.
TURN = 0.95
#: How long a quote can confirm an anchor, in intervals.
_QUOTE_VALID = 2
#: How long an anchor stays fresh without a quote, in intervals.
_ANCHOR_FRESH = 3

#: Receives the anchors that are new or have changed.
OnChange = Callable[[Sequence[PriceAnchor]], None]


class _SourceState:
    """One source, with its latest quotes and the result of its latest request.

    ``due`` is when the next request is sent, by the event loop's clock in seconds. ``failures``
    counts consecutive failures. ``failed_at`` and ``answered_at`` are wall times in microseconds.
    """

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
    """Polls ``sources`` for the prices of ``assets`` every ``interval`` seconds.

    ``sources`` are in order of preference. ``cache`` is None if nothing is shared with other
    services or kept beyond the end of the process.

    ``anchors`` has the newest anchor by asset, ``requests`` counts requests by source and outcome,
    ``has_cache`` is whether there is a cache, and ``cache_problem`` says why it cannot be used now.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        assets: Sequence[str],
        interval: float,
        cache: AnchorCache | None = None,
    ) -> None:
        self.anchors: dict[str, PriceAnchor] = {}
        self.requests: Counter[tuple[str, str]] = Counter()
        self.cache_problem = ""
        self.has_cache = cache is not None
        self._sources = [_SourceState(source) for source in sources]
        self._assets = tuple(assets)
        self._interval = interval
        self._cache = cache
        self._unsaved: set[str] = set()
        self._implausible: dict[str, str] = {}
        self._stale: tuple[str, ...] = ()
        self._failure = ""
        self._on_change: OnChange = _ignore
        self._polled = asyncio.Event()
        self._stopping = False
        self._tasks = BackgroundTasks()
        self._task: asyncio.Task[None] | None = None

    @property
    def problems(self) -> dict[str, str]:
        """Return why the latest request failed, by source; without sources that work."""
        return {s.source.name: s.problem for s in self._sources if s.problem}

    @property
    def stale(self) -> tuple[str, ...]:
        """Return the assets whose anchor no source confirms now."""
        return self._stale

    async def prepare(self, seconds: float) -> None:
        """Start polling, and wait for the first responses for at most ``seconds``."""
        self._start_task()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._polled.wait(), seconds)

    def start(self, on_change: OnChange) -> None:
        """Start polling, if it has not started, and call ``on_change`` with changed anchors."""
        self._on_change = on_change
        self._start_task()

    def _start_task(self) -> None:
        if self._task is None:
            self._task = self._tasks.start("the poller of real prices", self._run())

    async def stop(self) -> None:
        """Stop polling and close the connections; return when no request is in progress."""
        self._stopping = True
        while self._task is not None and not self._task.done():
            # Repeated, because client libraries sometimes swallow a cancellation.
            self._task.cancel()
            await asyncio.wait([self._task], timeout=0.5)
        for state in self._sources:
            await state.source.close()
        if self._cache is not None:
            await self._cache.close()

    async def _run(self) -> None:
        """Poll until stopped. An unexpected error is logged once and does not end the loop."""
        loop = asyncio.get_running_loop()
        cache_loaded = False
        while not self._stopping:
            try:
                if not cache_loaded:
                    await self._load_cache()
                    cache_loaded = True
                await self._poll_due_sources()
                self._failure = ""
            except Exception as error:
                if self._failure != type(error).__name__:
                    self._failure = type(error).__name__
                    log.exception("updating the price anchors failed")
            self._polled.set()
            next_due = min((s.due for s in self._sources), default=loop.time() + self._interval)
            wait = max(next_due - loop.time(), 0.01 if not self._failure else _CACHE_RETRY_DELAY)
            await asyncio.sleep(min(wait, _CACHE_RETRY_DELAY) if self.cache_problem else wait)

    async def _poll_due_sources(self) -> None:
        now = asyncio.get_running_loop().time()
        due = [state for state in self._sources if state.due <= now]
        polled = await asyncio.gather(*(self._poll_source(state, now) for state in due))
        if not all(polled):
            await self._load_cache()
        self._update_anchors()
        await self._save()

    async def _poll_source(self, state: _SourceState, began: float) -> bool:
        """Send a request to one source; return False if another service has the turn.

        ``began`` is when this round of polling started, by the event loop's clock. The next request
        is scheduled from there, so that all sources are polled at the same time and their quotes
        can be compared.
        """
        loop = asyncio.get_running_loop()
        name = state.source.name
        if wait := await self._claim_turn(name):
            state.due = loop.time() + wait
            return False
        try:
            quotes = await state.source.quotes(self._assets, _now())
        except UpstreamError as error:
            self.requests[name, error.outcome] += 1
            state.failures += 1
            state.failed_at = _now()
            state.quotes = {}
            delay = self._interval * 2 ** min(state.failures - 1, 16)
            delay = max(min(delay, _MAX_RETRY_DELAY), self._interval, error.retry_after)
            state.due = loop.time() + delay
            state.problem = str(error)
            if state.outcome != error.outcome:
                log.warning("%s %s; next request in %.0f s", name, error, delay)
            state.outcome = error.outcome
            await self._block_source(name, delay)
        else:
            self.requests[name, OK] += 1
            if state.failures:
                log.info("%s works again", name)
            state.failures = 0
            state.problem = ""
            state.outcome = OK
            state.quotes = quotes
            state.answered_at = _now()
            state.due = began + self._interval
        return True

    def _update_anchors(self) -> None:
        """Update the anchors from the latest quotes, and pass on those that have changed."""
        changed = []
        for asset in self._assets:
            before = self.anchors.get(asset)
            after = self._next_anchor(asset, before)
            if after is not None and after != before:
                self.anchors[asset] = after
                self._unsaved.add(asset)
                changed.append(after)
        if changed:
            self._on_change(changed)
        self._log_staleness()

    def _next_anchor(self, asset: str, last: PriceAnchor | None) -> PriceAnchor | None:
        """Return the anchor of ``asset`` that follows ``last``, stale if nothing confirms it.

        None if there was no anchor and there is no usable quote. An older quote than ``last``
        does not replace it.
        """
        now = _now()
        valid_for = round(_QUOTE_VALID * self._interval * SECOND)
        quotes = {
            state.source.name: (state.quotes[asset], state.answered_at)
            for state in self._sources
            if asset in state.quotes and now - state.answered_at <= valid_for
        }
        if quotes:
            try:
                source, quote = choose_quote({name: q for name, (q, _) in quotes.items()}, last)
            except ImplausiblePrice as error:
                self._log_plausibility(asset, str(error))
                return replace(last, stale=True) if last is not None else None
            self._log_plausibility(asset, "")
            observed_at = quotes[source][1]
            if last is None or observed_at >= last.observed_at:
                return PriceAnchor(asset, quote.price, source, quote.event_time, observed_at)
        if last is None:
            return None
        failed = not quotes and any(
            state.failures and state.failed_at >= last.observed_at for state in self._sources
        )
        old = now - last.observed_at > _ANCHOR_FRESH * self._interval * SECOND
        return replace(last, stale=True) if failed or old else last

    def _log_plausibility(self, asset: str, problem: str) -> None:
        """Log when the quotes of an asset become implausible or plausible again."""
        if bool(problem) != bool(self._implausible.get(asset)):
            if problem:
                log.warning("%s: %s", asset, problem)
            else:
                log.info("%s: sources agree again", asset)
        self._implausible[asset] = problem

    def _log_staleness(self) -> None:
        """Log when the set of stale assets changes."""
        stale = tuple(name for name, anchor in self.anchors.items() if anchor.stale)
        if stale == self._stale:
            return
        self._stale = stale
        if stale:
            log.warning("real prices are stale: %s; the last good ones hold", ", ".join(stale))
        else:
            log.info("real prices are fresh again")

    async def _claim_turn(self, source: str) -> float:
        """Return the seconds to wait before a request may be sent; 0 without a usable Redis."""
        if self._cache is None:
            return 0.0
        try:
            wait = await self._cache.claim_turn(source, self._interval * TURN)
        except CacheUnavailable as error:
            self._set_cache_problem(str(error))
            return 0.0
        self._set_cache_problem("")
        return wait

    async def _block_source(self, source: str, seconds: float) -> None:
        if self._cache is not None:
            try:
                await self._cache.block_source(source, seconds)
            except CacheUnavailable as error:
                self._set_cache_problem(str(error))

    async def _load_cache(self) -> None:
        """Adopt newer anchors that other services, or this one before a restart, have cached."""
        if self._cache is None:
            return
        try:
            cached = await self._cache.load(self._assets, _now())
        except CacheUnavailable as error:
            self._set_cache_problem(str(error))
            return
        self._set_cache_problem("")
        changed = []
        for anchor in cached:
            own = self.anchors.get(anchor.asset)
            if own is None or anchor.observed_at > own.observed_at:
                self.anchors[anchor.asset] = anchor
                changed.append(anchor)
        if changed:
            self._on_change(changed)
            self._log_staleness()

    async def _save(self) -> None:
        """Store changed anchors in the cache; all of them to try it while it has a problem."""
        if self._cache is None or not (self._unsaved or self.cache_problem):
            return
        changed = [self.anchors[asset] for asset in self.anchors if asset in self._unsaved]
        try:
            await self._cache.save(changed or self.anchors.values())
        except CacheUnavailable as error:
            self._set_cache_problem(str(error))
            return
        self._unsaved.clear()
        self._set_cache_problem("")

    def _set_cache_problem(self, problem: str) -> None:
        """Record why the cache cannot be used (empty: it can), and log changes.

        Once it works again, all anchors are due to be saved.
        """
        if bool(problem) != bool(self.cache_problem):
            if problem:
                log.warning("the cache of prices: %s; going on without it", problem)
            else:
                log.info("the cache of prices is back")
                self._unsaved.update(self.anchors)
        self.cache_problem = problem


def _now() -> int:
    return time.time_ns() // 1000


def _ignore(anchors: Sequence[PriceAnchor]) -> None:
    return
