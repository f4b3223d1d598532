"""The time that one HTTP request may take: its body to arrive, its answer to begin."""

import asyncio


class Deadline:
    """Ends the task that serves a request, with ``status`` saying why: 408, the body did not
    arrive; 504, the answer did not begin. An answer that has begun may take as long as it likes:
    it may be a stream. One timer a request, and it is set again rather than moved.
    """

    __slots__ = ("_answer_time", "_loop", "_task", "_timer", "reading", "started", "status")

    def __init__(self, body_time: float, answer_time: float) -> None:
        """Of the task that calls. Both in wall seconds from now; the body's is the shorter one."""
        self.reading = False
        self.started = False
        self.status = 0
        self._answer_time = answer_time - body_time
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task(self._loop)
        self._timer = self._loop.call_later(body_time, self._body_is_due)

    def close(self) -> None:
        self._timer.cancel()

    def passed(self) -> bool:
        """After CancelledError: was it this deadline, and can it still be answered? Then the task
        goes on.
        """
        if not self.status or self.started or self._task is None:
            return False
        self._task.uncancel()
        return True

    def _body_is_due(self) -> None:
        if self.started:
            return
        if self.reading:
            self._end()
        else:
            self._timer = self._loop.call_later(self._answer_time, self._end)

    def _end(self) -> None:
        if self.started or self._task is None:
            return
        self.status = 408 if self.reading else 504
        self._task.cancel()
