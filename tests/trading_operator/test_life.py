"""The operator is killed between any two actions, the coordinator and the API server go away and
come back, the resource is aborted or deleted: in the end nothing is cut, whoever is left to see to
it.
"""

import contextlib
from collections.abc import Iterator

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from tests.trading_operator.making import RELEASE, made, verdict
from trading.scenario.result import Verdict
from trading_operator.actions import Abort, Action, Begin, Drop, Put
from trading_operator.observed import Observed, Seen
from trading_operator.policies import Live, cuts, live, manifest
from trading_operator.reaper import expired
from trading_operator.resource import Scenario
from trading_operator.status import Status, read, write
from trading_operator.step import SILENCE, step

_FAULT = ("", "applied", "injected", "ended", "recovered")


class World:
    """The cluster and the coordinator: what outlives the operator. ``now``: Unix time."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.scenario = made()
        self.status: dict[str, object] = {}
        self.gone = False
        self.policies: dict[str, dict[str, object]] = {}
        self.api_up = self.coordinator_up = True
        self.begun = False
        self.phase = ""
        self.fault = 0
        self.verdict: Verdict | None = None

    def live(self) -> tuple[Live, ...]:
        return tuple(live(one) for one in self.policies.values())

    def abort(self) -> None:
        if self.phase in ("SteadyState", "Injecting", "Active"):
            self.phase = "Recovering"
            self.fault = min(max(self.fault, 3), 4) if self.fault else 0


class Operator:
    """One process: it remembers what it has heard; a kill can come between any two actions."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.heard_at = world.now
        self.heard: tuple[str, int, Verdict | None] = ("", 0, None)
        self.saved: Status | None = None
        self.left: Iterator[Action] = iter(())
        self.done = False

    def look(self) -> None:
        world = self.world
        if world.gone or not world.api_up:
            return
        if world.coordinator_up:
            self.heard_at = world.now
            self.heard = (world.phase, world.fault, world.verdict) if world.begun else self.heard
        phase, fault, said = self.heard
        observed = Observed(
            known=world.begun if world.coordinator_up else bool(phase),
            phase=phase,
            faults={"cut": Seen(_FAULT[fault], "text", 1)} if fault else {},
            verdict=said,
            problem="" if world.coordinator_up else "refused",
            heard_at=self.heard_at,
            policies=world.live(),
        )
        status = self.saved or read(world.status)
        found = step(world.scenario, status, observed, world.now)
        world.status = write(found.status)
        self.saved = found.status
        self.left = iter(found.actions)
        if found.done and world.scenario.deleted:
            world.gone = True

    def act(self) -> None:
        """The next action only."""
        world = self.world
        match next(self.left, None):
            case Begin() if world.coordinator_up and not world.begun:
                world.begun, world.phase = True, "SteadyState"
            case Abort(_) if world.coordinator_up:
                world.abort()
            case Put(cut, until) if world.api_up:
                body = manifest(world.scenario, cut, RELEASE, until)
                name = body["metadata"]["name"]
                assert name in world.status["policies"]  # type: ignore[operator]
                world.policies[name] = body
            case Drop(name) if world.api_up:
                world.policies.pop(name, None)


class Life(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.operator: Operator | None = Operator(self.world)

    @rule()
    def look(self) -> None:
        if self.operator is not None:
            self.operator.look()

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

    @precondition(lambda self: self.world.begun and self.world.coordinator_up)
    @rule()
    def play(self) -> None:
        """The run goes on by a step."""
        world = self.world
        if world.verdict is not None:
            return
        if world.phase == "SteadyState":
            world.phase, world.fault = "Injecting", 1
        elif world.phase in ("Injecting", "Active") and world.fault < 3:
            world.phase, world.fault = "Active", world.fault + 1
        elif world.fault in (0, 4):
            aborted = bool(world.scenario.unwanted)
            world.phase = "Aborted" if aborted else "Completed"
            world.verdict = verdict("Aborted" if aborted else "Pass")
        else:
            world.phase, world.fault = "Recovering", 4

    @invariant()
    def nothing_is_cut_that_its_status_does_not_name(self) -> None:
        if hasattr(self, "world") and self.world.policies:
            assert set(self.world.policies) <= set(self.world.status["policies"])  # type: ignore[call-overload]

    @invariant()
    def a_verdict_or_a_released_finalizer_means_that_nothing_is_cut(self) -> None:
        if hasattr(self, "world") and (self.world.gone or self.world.status.get("verdict")):
            assert self.world.policies == {}

    def teardown(self) -> None:
        """Either an operator comes back and everything is there, or nobody ever comes back."""
        if not hasattr(self, "world"):
            return
        world = self.world
        self._reap_alone()
        world.api_up = world.coordinator_up = True
        world.scenario = replace(world.scenario, deleted=True)
        operator = Operator(world)
        for _ in range(40):
            world.now += 1
            operator.look()
            for _ in range(8):
                operator.act()
            with contextlib.suppress(IndexError):
                if world.begun:
                    self.play()
        assert world.gone, world.status
        assert world.policies == {}

    def _reap_alone(self) -> None:
        """On a copy of the cluster: the reaper and time are enough."""
        found = list(self.world.policies.values())
        assert len(expired(found, self.world.now + 61)) == len(found)

    def _spec(self, **more: object) -> None:
        scenario: Scenario = self.world.scenario
        self.world.scenario = replace(scenario, spec={**scenario.spec, **more})


Life.TestCase.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
TestLife = Life.TestCase


def test_every_partition_of_the_scenario_is_one_that_can_be_cut() -> None:
    """Otherwise the machine above would prove nothing."""
    assert cuts(made().partitions)
