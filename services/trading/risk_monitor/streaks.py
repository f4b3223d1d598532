"""Conditions that must hold for several consecutive evaluations before they count."""


class Streaks:
    """Counts, for each key, the consecutive evaluations in which a condition held, up to
    ``required``.
    """

    def __init__(self, required: int) -> None:
        self._required = required
        self._streaks: dict[str, list[int]] = {}

    def update(self, key: str, holds: bool, event_time: int) -> int:
        """Process one evaluation. Return the event time of the first evaluation of the present
        streak if the streak is long enough, otherwise 0.
        """
        streak = self._streaks.get(key)
        if not holds:
            if streak is not None:
                del self._streaks[key]
            return 0
        if streak is None:
            streak = self._streaks[key] = [0, event_time]
        streak[0] += 1
        return streak[1] if streak[0] >= self._required else 0

    def state(self) -> dict[str, list[int]]:
        """Return the running streaks as plain values: length and first event time by key."""
        return {key: list(streak) for key, streak in self._streaks.items()}
