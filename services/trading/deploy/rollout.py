"""Brings a deployment up, and tells what becomes of each component."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from trading.deploy.environments import TITLES, DeploymentError
from trading.deploy.state import DONE, FAILED, HEALTHY, MISSING, Platform, State

_LOOK_EVERY = 1.0
#: A component that is down for so long, seconds, does not come back by itself.
_HOPE = 20.0
_TAIL = 10


def roll_out(
    platform: Platform, without: frozenset[str], seconds: float, tell: Callable[[str], None]
) -> None:
    """Returns once every component is healthy. Raises DeploymentError, with the last lines of the
    log of one that is not.
    """
    with ThreadPoolExecutor(1) as pool:
        _wait(platform, without, seconds, tell, pool.submit(platform.apply, without))


def _wait(
    platform: Platform,
    without: frozenset[str],
    seconds: float,
    tell: Callable[[str], None],
    applied: "Future[None]",
) -> None:
    clock = time.monotonic
    began = clock()
    shown: dict[str, str] = {}
    failing: dict[str, float] = {}
    while True:
        done = applied.done()
        if done:
            applied.result()
        states = [s for s in platform.states() if s.component not in without]
        for state in states:
            if shown.get(state.component) != state.status:
                shown[state.component] = state.status
                if state.status != MISSING:
                    tell(f"{clock() - began:5.1f} s  {title(state.component)}: {_said(state)}")
        unhealthy = [s for s in states if s.status not in (HEALTHY, DONE)]
        if states and not unhealthy and done:
            return
        bad = {s.component for s in unhealthy if s.status == FAILED}
        failing = {name: failing.get(name, clock()) for name in bad}
        hopeless = [s for s in unhealthy if clock() - failing.get(s.component, clock()) > _HOPE]
        if hopeless:
            raise DeploymentError(_reason(platform, hopeless[0]))
        if clock() - began > seconds:
            late = sorted(unhealthy, key=lambda s: s.status != FAILED)
            names = ", ".join(f"{title(s.component)} ({_said(s)})" for s in late)
            why = f"not ready after {seconds:.0f} s: {names or 'nothing is deployed'}"
            raise DeploymentError(f"{why}\n{_reason(platform, late[0])}" if late else why)
        time.sleep(_LOOK_EVERY)


def title(component: str) -> str:
    return TITLES.get(component, component.capitalize())


def _said(state: State) -> str:
    return f"{state.status}, {state.problem}" if state.problem else state.status


def _reason(platform: Platform, state: State) -> str:
    head = f"{title(state.component)}: {_said(state)}"
    try:
        lines = platform.tail(state.component, _TAIL)
    except DeploymentError:
        lines = []
    return "\n".join([head, *(f"    {line}" for line in lines)])
