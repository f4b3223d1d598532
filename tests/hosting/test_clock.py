"""Clocks that follow the same anchor agree, and timers that were missed fire once, late."""

from trading.hosting.clock import ClockAnchor, SimClock
from trading.messages import Message, Wake
from trading.runtime.kernel import Kernel
from trading.units import SECOND


def test_who_follows_an_anchor_agrees_whenever_it_began() -> None:
    anchor = ClockAnchor(sim=1_000_000, wall=5_000_000_000, speed=10)
    now = [0]
    early = SimClock(0, monotonic_ns=lambda: now[0])
    early.follow(anchor, wall_ns=lambda: 5_000_000_000 + now[0])
    now[0] = 2_000_000_000
    late = SimClock(0, monotonic_ns=lambda: now[0])
    late.follow(anchor, wall_ns=lambda: 5_000_000_000 + now[0])
    assert early.now() == late.now() == 21_000_000


def test_before_the_anchor_it_is_earlier() -> None:
    clock = SimClock(0, monotonic_ns=lambda: 0)
    clock.follow(
        ClockAnchor(sim=1_000_000, wall=3_000_000_000, speed=2), wall_ns=lambda: 2_500_000_000
    )
    assert clock.now() == 0
    assert clock.seconds_until(1_000_000) == 0.5


class Beats:
    """A component that wakes every second and records each wake-up's due and actual time."""

    name = "beats"

    def __init__(self) -> None:
        self.wakes: list[tuple[int, int]] = []

    def on(self, message: Message, now: int) -> list[Message]:
        if isinstance(message, Wake):
            self.wakes.append((message.at, now))
        return [Wake(now + SECOND, "beat")]

    def state(self) -> list[tuple[int, int]]:
        return self.wakes


def test_timers_that_were_due_come_once_and_late() -> None:
    beats = Beats()
    kernel = Kernel([beats], start=0, run_id="x")
    kernel.run(2 * SECOND)
    kernel.skip_to(60 * SECOND)
    kernel.run(61 * SECOND)
    assert beats.wakes == [
        (SECOND, SECOND),
        (2 * SECOND, 2 * SECOND),
        (3 * SECOND, 60 * SECOND),
        (61 * SECOND, 61 * SECOND),
    ]
