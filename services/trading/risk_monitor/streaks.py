"""Conditions that must hold for several looks in a row before they count."""


class Streaks:
    """``needed``: looks in a row."""

    def __init__(self, needed: int) -> None:
        self._needed = needed
        self._running: dict[str, list[int]] = {}

    def first(self, key: str, holds: bool, event_time: int) -> int:
        """``event_time`` of the first of the present looks in a row, if they are enough; else 0."""
        running = self._running.get(key)
        if not holds:
            if running is not None:
                del self._running[key]
            return 0
        if running is None:
            running = self._running[key] = [0, event_time]
        running[0] += 1
        return running[1] if running[0] >= self._needed else 0

    def state(self) -> dict[str, list[int]]:
        return {key: list(running) for key, running in self._running.items()}
