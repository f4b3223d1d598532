"""What a benchmark gives, and how time is taken."""

import time
from collections.abc import Callable
from typing import NamedTuple


class Figure(NamedTuple):
    """``aim``: what we want, as text; ``met`` None where there is no aim."""

    name: str
    value: float
    unit: str
    aim: str = ""
    met: bool | None = None

    @property
    def text(self) -> str:
        """With its unit, as people read it."""
        value = f"{self.value:,.0f}" if self.value >= 1000 else f"{self.value:.2f}"
        return f"{value} {self.unit}"


def best_of(rounds: int, work: Callable[[], object]) -> float:
    """Seconds of the fastest round: the one that the machine disturbed least."""
    best = float("inf")
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begun)
    return best
