"""Limits the time that one HTTP request may take to arrive and to be answered."""

import asyncio


class Deadline:
    """Cancels the task that serves a request when its body or its answer is late.

    ``status`` then says which: 408, the body did not arrive; 504, the answer did not begin. An
    answer that has begun may take any time, since it may be a stream. The owner sets ``reading``
    while the body is expected, and ``started`` when the answer begins. One timer serves a request
    and is started again, which is cheaper than moving it.
    """

    __slots__ = ("_answer_time", "_loop", "_task", "_timer", "reading", "started", "status")

    def __init__(self, body_time: float, answer_time: float) -> None:
        """Apply to the calling task. Both times are in wall seconds from now, the body's first."""
        self.reading = False
        self.started = False
        self.status = 0
        self._answer_time = answer_time - body_time
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task(self._loop)
        self._timer = self._loop.call_later(body_time, self._body_is_due)

    def close(self) -> None:
        """Stop the timer."""
        self._timer.cancel()

    def passed(self) -> bool:
        """Return whether this deadline caused a CancelledError, and can still be answered.

        If so, the task's cancellation is revoked.
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
