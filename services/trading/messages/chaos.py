"""Faults as leases: what the test coordinator sends to the services, and what they answer.

The parameters are compiled from the scenario (see :mod:`trading.scenario.plan`): all times are in
simulated microseconds, all ratios in ppm, and all names resolved.
"""

from enum import StrEnum

import msgspec

from trading.messages.base import Message


class Phase(StrEnum):
    """Where a run is, in the order in which a run goes through its phases."""

    PENDING = "Pending"
    STEADY_STATE = "SteadyState"
    INJECTING = "Injecting"
    ACTIVE = "Active"
    RECOVERING = "Recovering"
    EVALUATING = "Evaluating"
    COMPLETED = "Completed"
    ABORTED = "Aborted"
    ERROR = "Error"

    @property
    def terminal(self) -> bool:
        """Whether a run in this phase has ended."""
        return self in (Phase.COMPLETED, Phase.ABORTED, Phase.ERROR)

    @property
    def abortable(self) -> bool:
        """Whether a run in this phase can be aborted: it is neither judged nor over."""
        return not self.terminal and self is not Phase.EVALUATING


class FaultStep(StrEnum):
    """What has happened to a fault, in the order in which it happens.

    A service plays it, its effect was seen in the data plane, the service has stopped playing it,
    and its effect is over.
    """

    APPLIED = "applied"
    INJECTED = "injected"
    ENDED = "ended"
    RECOVERED = "recovered"


class FaultEnd(StrEnum):
    """Why a fault ended: the coordinator asked for it, nobody renewed its lease, or the service did
    not play it at all.
    """

    RECOVERED = "RECOVERED"
    LEASE_EXPIRED = "LEASE_EXPIRED"
    REFUSED = "REFUSED"


class Fault(msgspec.Struct, gc=False, tag_field="kind", tag=True):
    """The parameters of one fault; the class name is its ``kind``."""


class PathPoint(msgspec.Struct, gc=False):
    """A point of a price path, ``offset`` microseconds after the injection.

    ``value`` is in ppm of the undisturbed price (MarketShock) or a price in 1e-8 USD (Depeg).
    Values between points are interpolated linearly.
    """

    offset: int
    value: int


class MarketShock(Fault, tag="marketShock"):
    """Multiply the index prices of ``assets`` by a path, and their volatility by
    ``volatility_ppm``.

    The market data service plays it. When the fault ends, the factor on prices returns to 1 over
    ``rebound`` microseconds, or stays at its last value if ``rebound`` is -1.
    """

    assets: tuple[str, ...]
    path: tuple[PathPoint, ...]
    volatility_ppm: int = 1_000_000
    rebound: int = -1


class Depeg(Fault, tag="depeg"):
    """Move the USD price of a stablecoin along a path, and back to the peg over ``rebound``
    microseconds when the fault ends.

    With ``scope`` market the market data service plays it. With ``scope`` venue only the exchange's
    own market in the asset moves, and the index price stays.
    """

    asset: str
    path: tuple[PathPoint, ...]
    scope: str = "market"
    rebound: int = 0


class ExchangeOutage(Fault, tag="exchangeOutage"):
    """Disturb the exchange or its connections.

    ``mode`` is one of:

    - partition: nothing gets in or out, silently;
    - reset: requests fail at once with CONNECTION_RESET;
    - unavailable: requests fail with 5xx, streams continue;
    - unknown: orders execute, but are answered with EXECUTION_STATUS_UNKNOWN;
    - slow: everything that is sent is ``delay`` microseconds late;
    - partial-ack: execution reports are lost with ``probability_ppm``;
    - liquidity: the synthetic depth of ``symbols`` is divided by ``factor``;
    - halt: ``symbols`` are in status HALT.
    """

    mode: str
    symbols: tuple[str, ...] = ()
    delay: int = 0
    probability_ppm: int = 1_000_000
    factor: int = 1


class SettlementFailure(Fault, tag="settlementFailure"):
    """Disturb the settlement of ``assets``.

    ``mode`` is delay (settles ``delay`` microseconds late), fail (nothing is booked at the
    settlement date, and the next cycle retries), partial (only ``fraction_ppm`` is booked) or stuck
    (no cycle runs at all).
    """

    mode: str
    assets: tuple[str, ...]
    delay: int = 0
    fraction_ppm: int = 0


class StrategyMalfunction(Fault, tag="strategyMalfunction"):
    """Make a strategy misbehave.

    ``mode`` is runaway-repeat (repeats its order ``rate`` times a second), wrong-side, stale-quotes
    (quotes around an old price), fat-finger (quantities times ``factor``), self-trading (trades
    between two of the firm's accounts) or position-growth (buys without limit).
    """

    strategy: str
    mode: str
    rate: int = 0
    factor: int = 1


class FeedDisruption(Fault, tag="feedDisruption"):
    """Disturb the published prices of ``assets``; true prices do not change.

    ``mode`` is latency (``delay`` microseconds late), spike (off by ``magnitude_ppm``), nan,
    negative, stale (a frozen price with new time stamps), out-of-order, gap (missing sequence
    numbers) or silence. Each tick is affected with ``probability_ppm``.
    """

    mode: str
    assets: tuple[str, ...]
    delay: int = 0
    magnitude_ppm: int = 0
    probability_ppm: int = 1_000_000


class NetworkPartition(Fault, tag="networkPartition"):
    """Deliver nothing between each pair of services, in either direction. The runtime plays it."""

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
    """Start a fault now. It is a lease: the service itself ends it at ``expires_at``."""

    to: str
    fault_id: str
    fault: AnyFault
    expires_at: int


class RenewFault(Message):
    """Extend the lease of a fault until ``expires_at``."""

    to: str
    fault_id: str
    expires_at: int


class RecoverFault(Message):
    """End a fault before its lease expires."""

    to: str
    fault_id: str


class AbortRun(Message):
    """To the coordinator: end every fault at once, and end the run without a verdict."""

    reason: str


class FaultApplied(Message):
    """The service has begun to play the fault. This is no evidence that it has an effect."""

    source: str
    fault_id: str
    event_time: int


class FaultEnded(Message):
    """The service has ended the fault.

    ``reason`` is a :class:`FaultEnd`; REFUSED is followed by ``_`` and why, as UPPER_SNAKE.
    """

    source: str
    fault_id: str
    reason: str
    event_time: int


class Probe(Message):
    """Ask ``to`` to reach ``target`` over a new connection and over an existing one."""

    to: str
    target: str
    nonce: int


class ProbeResult(Message):
    """The answer to :class:`Probe`: whether ``target`` was reached over each connection."""

    source: str
    target: str
    nonce: int
    fresh_ok: bool
    held_ok: bool
    event_time: int


class ProbeAsked(Message):
    """To the process that opens the connections between ``source`` and ``target``: try both."""

    to: str
    source: str
    target: str
    nonce: int


class ProbeSeen(Message):
    """The result of :class:`ProbeAsked`, from the process's own sockets."""

    source: str
    target: str
    nonce: int
    fresh_ok: bool
    held_ok: bool


class RunSetup(msgspec.Struct, gc=False):
    """What was run.

    ``version`` is that of the program, and ``plan_digest`` a SHA-256 in hex, see
    :func:`trading.scenario.plan.plan_digest`. ``limits`` has the limit in force, as text, of every
    rule that is not in ``disabled_rules``. ``overrides`` has everything that was changed for this
    run: the dotted path in ``spec`` to the value as YAML.
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
    """The first entry that the coordinator decides on in a run's journal.

    It is sent to no other service, because none may know what is going to fail.
    """

    setup: RunSetup


class PhaseChanged(Message):
    """Entry of the coordinator's journal: a run enters a phase."""

    phase: Phase
    event_time: int


class FaultInjected(Message):
    """The effect of a fault has been observed in the data plane at ``event_time``; ``evidence``
    says how.
    """

    fault_id: str
    evidence: str
    event_time: int


class FaultRecovered(Message):
    """The data plane has been observed to be undisturbed again since ``event_time``."""

    fault_id: str
    event_time: int
