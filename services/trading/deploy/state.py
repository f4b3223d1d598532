"""The interface to a deployment that both platforms implement, and the states of components."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

HEALTHY, STARTING, FAILED, MISSING, DONE = "healthy", "starting", "failed", "missing", "done"


class State(NamedTuple):
    """The state of one component.

    `status` is one of the constants above. `problem` tells the user why it is not healthy.
    """

    component: str
    status: str
    problem: str = ""


class Line(NamedTuple):
    """One line of a component's log. `time` is in ISO 8601 format."""

    time: str
    component: str
    text: str


class Platform(Protocol):
    """A deployment on Compose or Kubernetes. All methods raise DeploymentError."""

    def check(self) -> None:
        """Raise DeploymentError if the platform cannot be used."""
        ...

    def prepare(self, without: Iterable[str], tell: Callable[[str], None]) -> None:
        """Provide the images and secrets that the deployment needs.

        `without` are components that are not deployed. `tell` is called with a line of text before
        each step that takes long.
        """
        ...

    def apply(self, without: Iterable[str]) -> None:
        """Start the deployment without the components `without`. Returns before all are ready."""
        ...

    def states(self) -> list[State]:
        """Return the state of every component that should run, sorted by name."""
        ...

    def dependencies(self, component: str) -> dict[str, str]:
        """Return the problems of a service's dependencies by name; an empty text means no problem.

        The name `ready` stands for the service itself. It is present if the service does not
        answer or reports a problem of its own.
        """
        ...

    def tail(self, component: str, lines: int) -> list[str]:
        """Return the last `lines` lines of the component's log."""
        ...

    def logs(self, components: Iterable[str], lines: int, follow: bool) -> Iterable[Line]:
        """Return the last `lines` log lines of each component, all components if none is named.

        The lines are sorted by time. With `follow`, they are yielded as they arrive, without end.
        """
        ...

    def remove(self, volumes: bool) -> None:
        """Remove the deployment, and its data as well if `volumes` is set."""
        ...
