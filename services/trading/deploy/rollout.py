"""Start a deployment and report the progress of each component until all are healthy."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from trading.deploy.environments import TITLES, DeploymentError
from trading.deploy.state import DONE, FAILED, HEALTHY, MISSING, Platform, State

_POLL_INTERVAL = 1.0
#: A component that has been failing for this many seconds is not expected to recover.
_FAILURE_GRACE = 20.0
_LOG_LINES = 10


def roll_out(
    platform: Platform, without: frozenset[str], seconds: float, tell: Callable[[str], None]
) -> None:
    """Apply the deployment and return when every component except `without` is healthy.

    `seconds` is the timeout, and `tell` receives a line for each change of a component's status.
    Raises DeploymentError, with the end of the log of a component that is not healthy, if one
    fails permanently or the timeout expires.
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
    start = clock()
    reported: dict[str, str] = {}
    failed_since: dict[str, float] = {}
    while True:
        is_applied = applied.done()
        if is_applied:
            applied.result()
        states = [s for s in platform.states() if s.component not in without]
        for state in states:
            if reported.get(state.component) != state.status:
                reported[state.component] = state.status
                if state.status != MISSING:
                    tell(f"{clock() - start:5.1f} s  {title(state.component)}: {_describe(state)}")
        unhealthy = [s for s in states if s.status not in (HEALTHY, DONE)]
        if states and not unhealthy and is_applied:
            return
        failed = {s.component for s in unhealthy if s.status == FAILED}
        failed_since = {name: failed_since.get(name, clock()) for name in failed}
        permanently_failed = [
            s
            for s in unhealthy
            if clock() - failed_since.get(s.component, clock()) > _FAILURE_GRACE
        ]
        if permanently_failed:
            raise DeploymentError(_failure_report(platform, permanently_failed[0]))
        if clock() - start > seconds:
            late = sorted(unhealthy, key=lambda s: s.status != FAILED)
            names = ", ".join(f"{title(s.component)} ({_describe(s)})" for s in late)
            message = f"not ready after {seconds:.0f} s: {names or 'nothing is deployed'}"
            raise DeploymentError(
                f"{message}\n{_failure_report(platform, late[0])}" if late else message
            )
        time.sleep(_POLL_INTERVAL)


def title(component: str) -> str:
    """Return the display name of a component."""
    return TITLES.get(component, component.capitalize())


def _describe(state: State) -> str:
    return f"{state.status}, {state.problem}" if state.problem else state.status


def _failure_report(platform: Platform, state: State) -> str:
    head = f"{title(state.component)}: {_describe(state)}"
    try:
        lines = platform.tail(state.component, _LOG_LINES)
    except DeploymentError:
        lines = []
    return "\n".join([head, *(f"    {line}" for line in lines)])
