"""How the components of a deployment are, whatever they run on."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

HEALTHY, STARTING, FAILED, MISSING, DONE = "healthy", "starting", "failed", "missing", "done"


class State(NamedTuple):
    """``problem``: why it is not healthy, for people."""

    component: str
    status: str
    problem: str = ""


class Line(NamedTuple):
    """One of a log. ``time``: ISO 8601."""

    time: str
    component: str
    text: str


class Platform(Protocol):
    """All raise DeploymentError."""

    def check(self) -> None:
        """Can it be used at all?"""
        ...

    def prepare(self, without: Iterable[str], tell: Callable[[str], None]) -> None:
        """Images, secrets: what has to be there first."""
        ...

    def apply(self, without: Iterable[str]) -> None:
        """Bring it up; returns before all is ready."""
        ...

    def states(self) -> list[State]:
        """Of every component that is wanted, once it was deployed."""
        ...

    def dependencies(self, component: str) -> dict[str, str]:
        """By name: what is wrong with it; empty: nothing. Of a service that does not answer: its
        own name."""
        ...

    def tail(self, component: str, lines: int) -> list[str]: ...

    def logs(self, components: Iterable[str], lines: int, follow: bool) -> Iterable[Line]: ...

    def remove(self, volumes: bool) -> None: ...
