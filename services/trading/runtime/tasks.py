"""Starts the background tasks of a process so that none of them can fail unnoticed. asyncio alone
reports the exception of a task only when the task is garbage collected.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)


class BackgroundTasks:
    """Runs background tasks, and remembers the first failure of a vital one.

    :attr:`problem` says which vital task has failed, and how; it is empty while none has. After
    such a failure only a restart of the process helps. ``on_problem`` is called once with it.
    """

    def __init__(self, on_problem: Callable[[str], None] = lambda problem: None) -> None:
        self.problem = ""
        #: Is set together with :attr:`problem`.
        self.failed = asyncio.Event()
        self._on_problem = on_problem
        self._running: set[asyncio.Task[Any]] = set()

    def start(
        self, name: str, work: Coroutine[Any, Any, None], *, vital: bool = False
    ) -> asyncio.Task[None]:
        """Run ``work`` in the background and return its task. A failure is logged with its
        traceback under ``name``. A task is ``vital`` if the process is useless without it.
        """
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(lambda task: self._on_end(task, vital))
        return task

    async def stop(self) -> None:
        """Cancel all running tasks, and wait until they have ended."""
        # A cancellation can get lost (CPython before 3.12, gh-86296), so it is repeated.
        while self._running:
            for task in self._running:
                task.cancel()
            await asyncio.wait(self._running, timeout=0.05)

    def _on_end(self, task: asyncio.Task[None], vital: bool) -> None:
        self._running.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        log.error("%s failed: %s", task.get_name(), error, exc_info=error)
        if vital and not self.problem:
            self.problem = f"{task.get_name()} failed: {type(error).__name__}: {error}"
            self.failed.set()
            self._on_problem(self.problem)
