"""A stateful test of everything that can go wrong in the life of a resource.

The operator is killed between any two actions, the coordinator and the API server go away and come
back, and the resource is aborted or deleted. In the end no policy is left, even if only the reaper
runs.
"""

import contextlib
from collections.abc import Iterator

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from tests.trading_operator.making import RELEASE, sample_scenario
from tests.trading_operator.making import verdict as sample_verdict
from trading.messages.chaos import FaultStep
from trading.scenario.result import Outcome, Phase, Verdict
from trading_operator.actions import AbortRun, Action, ApplyPolicy, DeletePolicy, StartRun
from trading_operator.observed import Observed, ObservedFault
from trading_operator.policies import ActivePolicy, cuts, manifest, parse_policy
from trading_operator.reaper import expired
from trading_operator.resource import Scenario
from trading_operator.status import Status, read_status, write_status
from trading_operator.step import SILENCE, step

_STEPS = [*FaultStep]


class World:
    """The cluster and the coordinator, which outlive the operator. ``now`` is a Unix time."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.scenario = sample_scenario()
        self.status: dict[str, object] = {}
        self.gone = False
        self.policies: dict[str, dict[str, object]] = {}
        self.api_up = self.coordinator_up = True
        self.started = False
        self.phase: Phase | None = None
        self.fault = 0
        self.verdict: Verdict | None = None

    def active_policies(self) -> tuple[ActivePolicy, ...]:
        return tuple(parse_policy(policy) for policy in self.policies.values())

    def abort(self) -> None:
        if self.phase in (Phase.STEADY_STATE, Phase.INJECTING, Phase.ACTIVE):
            self.phase = Phase.RECOVERING
            self.fault = min(max(self.fault, 3), 4) if self.fault else 0


class Operator:
    """One process of the operator. It keeps the last observation and the actions that are left."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.last_contact = world.now
        self.received: tuple[Phase | None, int, Verdict | None] = (None, 0, None)
        self.saved: Status | None = None
        self.remaining: Iterator[Action] = iter(())

    def reconcile(self) -> None:
        """Observe, step, and save the status, but execute no action."""
        world = self.world
        if world.gone or not world.api_up:
            return
        if world.coordinator_up:
            self.last_contact = world.now
            if world.started:
                self.received = (world.phase, world.fault, world.verdict)
        phase, fault, verdict = self.received
        observed = Observed(
            run_exists=world.started if world.coordinator_up else bool(phase),
            phase=phase,
            faults={"cut": ObservedFault(_STEPS[fault - 1], "text", 1)} if fault else {},
            verdict=verdict,
            problem="" if world.coordinator_up else "refused",
            last_contact=self.last_contact,
            policies=world.active_policies(),
        )
        status = self.saved or read_status(world.status)
        result = step(world.scenario, status, observed, world.now)
        world.status = write_status(result.status)
        self.saved = result.status
        self.remaining = iter(result.actions)
        if result.finished and world.scenario.deleted:
            world.gone = True

    def act(self) -> None:
        """Execute the next action only."""
        world = self.world
        match next(self.remaining, None):
            case StartRun() if world.coordinator_up and not world.started:
                world.started, world.phase = True, Phase.STEADY_STATE
            case AbortRun(_) if world.coordinator_up:
                world.abort()
            case ApplyPolicy(cut, until) if world.api_up:
                body = manifest(world.scenario, cut, RELEASE, until)
                name = body["metadata"]["name"]
                assert name in world.status["policies"]  # type: ignore[operator]
                world.policies[name] = body
            case DeletePolicy(name) if world.api_up:
                world.policies.pop(name, None)


class Life(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.operator: Operator | None = Operator(self.world)

    @rule()
    def reconcile(self) -> None:
        if self.operator is not None:
            self.operator.reconcile()

    @rule()
    def act(self) -> None:
        if self.operator is not None:
            self.operator.act()

    @rule()
    def finish_acting(self) -> None:
        for _ in range(8):
            self.act()

    @rule()
    def kill(self) -> None:
        self.operator = None

    @rule()
    def start(self) -> None:
        self.operator = self.operator or Operator(self.world)

    @rule(up=st.booleans())
    def coordinator(self, up: bool) -> None:
        self.world.coordinator_up = up

    @rule(up=st.booleans())
    def api_server(self, up: bool) -> None:
        self.world.api_up = up

    @rule()
    def abort(self) -> None:
        self._spec(abort=True)

    @rule()
    def delete(self) -> None:
        self.world.scenario = replace(self.world.scenario, deleted=True)

    @rule(seconds=st.sampled_from((1.0, 15.0, SILENCE + 1, 70.0)))
    def wait(self, seconds: float) -> None:
        self.world.now += seconds

    @precondition(lambda self: self.world.started and self.world.coordinator_up)
    @rule()
    def play(self) -> None:
        """Advance the run by one step."""
        world = self.world
        if world.verdict is not None:
            return
        if world.phase == Phase.STEADY_STATE:
            world.phase, world.fault = Phase.INJECTING, 1
        elif world.phase in (Phase.INJECTING, Phase.ACTIVE) and world.fault < 3:
            world.phase, world.fault = Phase.ACTIVE, world.fault + 1
        elif world.fault in (0, 4):
            aborted = bool(world.scenario.stop_reason)
            world.phase = Phase.ABORTED if aborted else Phase.COMPLETED
            world.verdict = sample_verdict(Outcome.ABORTED if aborted else Outcome.PASS)
        else:
            world.phase, world.fault = Phase.RECOVERING, 4

    @invariant()
    def nothing_is_cut_that_its_status_does_not_name(self) -> None:
        if hasattr(self, "world") and self.world.policies:
            assert set(self.world.policies) <= set(self.world.status["policies"])  # type: ignore[call-overload]

    @invariant()
    def a_verdict_or_a_released_finalizer_means_that_nothing_is_cut(self) -> None:
        if hasattr(self, "world") and (self.world.gone or self.world.status.get("verdict")):
            assert self.world.policies == {}

    def teardown(self) -> None:
        """Check both ends: only the reaper is left, or everything comes back."""
        if not hasattr(self, "world"):
            return
        world = self.world
        self._check_reaper()
        world.api_up = world.coordinator_up = True
        world.scenario = replace(world.scenario, deleted=True)
        operator = Operator(world)
        for _ in range(40):
            world.now += 1
            operator.reconcile()
            for _ in range(8):
                operator.act()
            with contextlib.suppress(IndexError):
                if world.started:
                    self.play()
        assert world.gone, world.status
        assert world.policies == {}

    def _check_reaper(self) -> None:
        """Check that the reaper deletes all policies once they have expired."""
        policies = list(self.world.policies.values())
        assert len(expired(policies, self.world.now + 61)) == len(policies)

    def _spec(self, **more: object) -> None:
        scenario: Scenario = self.world.scenario
        self.world.scenario = replace(scenario, spec={**scenario.spec, **more})


Life.TestCase.settings = settings(max_examples=200, stateful_step_count=60)
TestLife = Life.TestCase


def test_every_partition_of_the_scenario_is_one_that_can_be_cut() -> None:
    """Otherwise the stateful test above would prove nothing."""
    assert cuts(sample_scenario().partitions)
