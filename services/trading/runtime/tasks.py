"""Starts the background tasks of a process, so that none of them can end unnoticed."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Tasks:
    """``problem``: which vital task has failed, and how: from then on only a restart of the
    process helps; empty: none has. ``on_problem`` is called once with it.
    """

    def __init__(self, on_problem: Callable[[str], None] = lambda problem: None) -> None:
        self.problem = ""
        #: Set together with :attr:`problem`.
        self.failed = asyncio.Event()
        self._on_problem = on_problem
        self._running: set[asyncio.Task[Any]] = set()

    def start(
        self, name: str, work: Coroutine[Any, Any, None], *, vital: bool = False
    ) -> asyncio.Task[None]:
        """Run ``work`` beside everything else; a failure is logged with where it happened.
        ``vital``: the process is of no use without it.
        """
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(lambda ended: self._ended(ended, vital))
        return task

    async def stop(self) -> None:
        """Cancel what still runs, and wait for its end."""
        # Whoever is cancelled may not notice (CPython before 3.12, gh-86296).
        while self._running:
            for task in self._running:
                task.cancel()
            await asyncio.wait(self._running, timeout=0.05)

    def _ended(self, task: asyncio.Task[None], vital: bool) -> None:
        self._running.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        log.error("%s failed: %s", task.get_name(), error, exc_info=error)
        if vital and not self.problem:
            self.problem = f"{task.get_name()} failed: {type(error).__name__}: {error}"
            self.failed.set()
            self._on_problem(self.problem)
