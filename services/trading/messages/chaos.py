"""Faults as leases: what the coordinator gives the services, and what they answer.

The parameters are compiled from the scenario (see :mod:`trading.scenario.plan`): all times in
microseconds, all ratios in ppm, all names resolved.
"""

import msgspec

from trading.messages.base import Message


class Fault(msgspec.Struct, gc=False, tag_field="kind", tag=True):
    """Parameters of one fault; the class name is its ``kind``."""


class PathPoint(msgspec.Struct, gc=False):
    """``offset`` after the injection, ``value`` in ppm of the undisturbed price (MarketShock) or
    in units of price (Depeg). Values between points are interpolated linearly.
    """

    offset: int
    value: int


class MarketShock(Fault, tag="marketShock"):
    """Multiply the assets' index prices by the path; volatility too, by ``volatility_ppm``.

    The market data service plays it. When the fault ends the factor returns to 1 over
    ``rebound`` microseconds, or stays at its last value where ``rebound`` is -1.
    """

    assets: tuple[str, ...]
    path: tuple[PathPoint, ...]
    volatility_ppm: int = 1_000_000
    rebound: int = -1


class Depeg(Fault, tag="depeg"):
    """Move a stablecoin's USD price along the path; back to the peg over ``rebound`` at the end.

    ``scope`` market: the market data service plays it. ``scope`` venue: the exchange's own market
    in that asset moves alone, the index stays.
    """

    asset: str
    path: tuple[PathPoint, ...]
    scope: str = "market"
    rebound: int = 0


class ExchangeOutage(Fault, tag="exchangeOutage"):
    """``mode``: partition (nothing in, nothing out, silently), reset (CONNECTION_RESET at once),
    unavailable (5xx, streams go on), unknown (orders execute, the answer is
    EXECUTION_STATUS_UNKNOWN), slow (everything out is ``delay`` late), partial-ack (reports
    are lost with ``probability_ppm``), liquidity (synthetic depth divided by ``factor``), halt
    (symbols in HALT). ``symbols`` matter to liquidity and halt only.
    """

    mode: str
    symbols: tuple[str, ...] = ()
    delay: int = 0
    probability_ppm: int = 1_000_000
    factor: int = 1


class SettlementFailure(Fault, tag="settlementFailure"):
    """``mode``: delay (settle ``delay`` late), fail (at the intended date nothing is booked; tried
    again next cycle), partial (only ``fraction_ppm`` is booked), stuck (no cycle runs at all).
    ``assets``: which ones.
    """

    mode: str
    assets: tuple[str, ...]
    delay: int = 0
    fraction_ppm: int = 0


class StrategyMalfunction(Fault, tag="strategyMalfunction"):
    """``mode``: runaway-repeat (sends its order again ``rate`` times a second), wrong-side,
    stale-quotes (quotes an old price), fat-finger (quantities times ``factor``), self-trading
    (crosses itself, through two of the firm's accounts), position-growth (buys without limit).
    """

    strategy: str
    mode: str
    rate: int = 0
    factor: int = 1


class FeedDisruption(Fault, tag="feedDisruption"):
    """``mode``: latency (``delay`` late), spike (``magnitude_ppm`` off), nan, negative, stale (old
    price with new stamp, frozen), out-of-order, gap (sequence numbers missing), silence.
    """

    mode: str
    assets: tuple[str, ...]
    delay: int = 0
    magnitude_ppm: int = 0
    probability_ppm: int = 1_000_000


class NetworkPartition(Fault, tag="networkPartition"):
    """No packet between each pair of services, in both directions. The runtime plays it."""

    pairs: tuple[tuple[str, str], ...]


AnyFault = (
    MarketShock
    | Depeg
    | ExchangeOutage
    | SettlementFailure
    | StrategyMalfunction
    | FeedDisruption
    | NetworkPartition
)


class InjectFault(Message):
    """Start a fault now. It is a lease: the service ends it by itself at ``expires_at``."""

    to: str
    fault_id: str
    fault: AnyFault
    expires_at: int


class RenewFault(Message):
    to: str
    fault_id: str
    expires_at: int


class RecoverFault(Message):
    to: str
    fault_id: str


class AbortRun(Message):
    """To the coordinator: take every fault back at once, and end without a verdict."""

    reason: str


class FaultApplied(Message):
    """The service has begun to play the fault. No evidence that anything happened."""

    source: str
    fault_id: str
    event_time: int


class FaultEnded(Message):
    """``reason``: RECOVERED, LEASE_EXPIRED or REFUSED_<WHY> (never applied)."""

    source: str
    fault_id: str
    reason: str
    event_time: int


class Probe(Message):
    """Ask ``to`` to reach ``target`` over a fresh and a held connection."""

    to: str
    target: str
    nonce: int


class ProbeResult(Message):
    source: str
    target: str
    nonce: int
    fresh_ok: bool
    held_ok: bool
    event_time: int


class ProbeAsked(Message):
    """To the process that opens the connections between ``source`` and ``target``: try one."""

    to: str
    source: str
    target: str
    nonce: int


class ProbeSeen(Message):
    """How :class:`ProbeAsked` went, from the process's own sockets."""

    source: str
    target: str
    nonce: int
    fresh_ok: bool
    held_ok: bool


class RunSetup(msgspec.Struct, gc=False):
    """What was run. ``version``: of the program; ``plan_digest``: hex SHA-256, see
    :func:`trading.scenario.plan.plan_digest`. ``limits``: rule -> limit in force, for people, of
    every rule that is not in ``disabled_rules``. ``overrides``: dotted path in ``spec`` -> value as
    YAML, of all that was changed for this run.
    """

    scenario: str = ""
    description: str = ""
    version: str = ""
    plan_digest: str = ""
    seed: int = 0
    limits: dict[str, str] = {}
    disabled_rules: tuple[str, ...] = ()
    overrides: dict[str, str] = {}


class RunDescribed(Message):
    """The coordinator's journal of a run: the first that it decides. Goes to nobody, since nobody
    else may know what is going to break.
    """

    setup: RunSetup


class PhaseChanged(Message):
    """The coordinator's journal of a run; phases as in :data:`trading.scenario.result.PHASES`."""

    phase: str
    event_time: int


class FaultInjected(Message):
    """The fault has been seen in the data plane at ``event_time``; ``evidence`` says what."""

    fault_id: str
    evidence: str
    event_time: int


class FaultRecovered(Message):
    """The data plane has been seen to be right again since ``event_time``."""

    fault_id: str
    event_time: int
