"""The published price feed of one asset: the true price, or what a disruption makes of it."""

from random import Random
from typing import Any

import msgspec

from trading.messages import Delayed, Message
from trading.messages.chaos import FeedDisruption
from trading.messages.market import PriceTick
from trading.units import PPM

MODES = ("latency", "spike", "nan", "negative", "stale", "out-of-order", "gap", "silence")

#: How many sequence numbers a gap skips.
GAP = 3


def check_disruption(fault: FeedDisruption) -> None:
    """Raise ValueError, with an UPPER_SNAKE reason, for a fault that cannot be played."""
    if fault.mode not in MODES:
        raise ValueError(f"UNKNOWN_MODE mode={fault.mode}")
    if not fault.assets:
        raise ValueError("NO_ASSETS")
    if fault.mode == "latency" and fault.delay <= 0:
        raise ValueError(f"DELAY_NOT_POSITIVE delay={fault.delay}")
    if fault.mode == "spike" and (fault.magnitude_ppm == 0 or fault.magnitude_ppm <= -PPM):
        raise ValueError(f"MAGNITUDE_IMPOSSIBLE magnitude_ppm={fault.magnitude_ppm}")
    if not 0 < fault.probability_ppm <= PPM:
        raise ValueError(f"PROBABILITY_IMPOSSIBLE probability_ppm={fault.probability_ppm}")


class _Disruption:
    """One fault on the feed of one asset.

    ``frozen`` is the price that a stale feed repeats. ``held`` is the tick that an out-of-order
    feed will publish after its successor, None if there is none.
    """

    __slots__ = ("_rng", "fault", "frozen", "held")

    def __init__(self, fault: FeedDisruption, frozen: int, rng: Random) -> None:
        self._rng = rng
        self.fault = fault
        self.frozen = frozen
        self.held: PriceTick | None = None

    def hits(self) -> bool:
        """Draw whether this tick is affected."""
        chance = self.fault.probability_ppm
        return chance >= PPM or self._rng.random() * PPM < chance

    def state(self) -> dict[str, Any]:
        """Return everything that decides future behaviour, as plain data to be compared."""
        version, internal, gauss = self._rng.getstate()
        return {
            "frozen": self.frozen,
            "held": msgspec.to_builtins(self.held),
            "rng": [version, list(internal), repr(gauss)],
        }


class PriceFeed:
    """Publishes the ticks of one asset, through the disruptions that are active.

    A disruption changes what is published, never the true price. Several at a time apply in the
    order in which they began. ``seq`` is the newest sequence number.
    """

    def __init__(self, asset: str) -> None:
        self._asset = asset
        self._disruptions: dict[str, _Disruption] = {}
        self._true_price = 0
        self.seq = 0

    def start(self, fault_id: str, fault: FeedDisruption, rng: Random) -> None:
        """Begin a disruption; ``rng`` decides which ticks it affects. A stale feed freezes now."""
        self._disruptions[fault_id] = _Disruption(fault, self._true_price, rng)

    def end(self, fault_id: str) -> list[Message]:
        """End a disruption. Return the tick that it held back, if any."""
        held = self._disruptions.pop(fault_id).held
        return [] if held is None else [held]

    def publish(self, price: int, now: int, out: list[Message]) -> None:
        """Append to ``out`` what subscribers receive for the true ``price`` at ``now``."""
        self._true_price = price
        if self._disruptions:
            self._publish_disrupted(price, now, out)
            return
        self.seq = seq = self.seq + 1
        out.append(PriceTick(self._asset, price, seq, now))

    def state(self) -> dict[str, Any]:
        """Return everything that decides future behaviour, as plain data to be compared."""
        return {
            "seq": self.seq,
            "true": self._true_price,
            "disruptions": {i: d.state() for i, d in self._disruptions.items()},
        }

    def _publish_disrupted(self, true_price: int, now: int, out: list[Message]) -> None:
        price: int | None = true_price
        seq = self.seq + 1
        delay = 0
        holders: list[_Disruption] = []
        silent = False
        for disruption in self._disruptions.values():
            fault = disruption.fault
            mode = fault.mode
            if not disruption.hits():
                if disruption.held is not None:
                    holders.append(disruption)
            elif mode == "silence":
                silent = True
            elif mode == "latency":
                delay += fault.delay
            elif mode == "gap":
                seq += GAP
            elif mode == "out-of-order":
                holders.append(disruption)
            elif mode == "nan":
                price = None
            elif mode == "stale":
                price = disruption.frozen
            elif price is not None:
                price = -price if mode == "negative" else _spike(price, fault.magnitude_ppm)
        if silent:
            return
        self.seq = seq
        ticks = [PriceTick(self._asset, price, seq, now)]
        for holder in holders:
            if holder.held is not None:
                ticks.append(holder.held)
                holder.held = None
            elif ticks:
                holder.held = ticks.pop(0)
        out.extend(Delayed(tick, delay) if delay else tick for tick in ticks)


def _spike(price: int, magnitude_ppm: int) -> int:
    return price * (PPM + magnitude_ppm) // PPM
