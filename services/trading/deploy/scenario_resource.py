"""Run a scenario in a cluster by its ChaosScenario resource.

kubectl creates the resource and polls its status, which the operator updates.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from trading.deploy.commands import Commands
from trading.deploy.environments import DeploymentError, Environment, project_of
from trading.messages.chaos import FaultStep
from trading.scenario.result import Phase

#: Wall seconds between two polls, and without a response until following the run is given up.
_POLL_INTERVAL = 1.0
_TIMEOUT = 120.0
_FAULT_TIMESTAMPS = (
    ("requestedAt", FaultStep.APPLIED),
    ("injectedAt", "verified in the data plane"),
    ("endedAt", FaultStep.ENDED),
    ("recoveredAt", FaultStep.RECOVERED),
)


class ScenarioResource:
    """The ChaosScenario `name` in the namespace of an environment.

    `directory` is the working directory of kubectl. All methods raise DeploymentError.
    """

    def __init__(self, environment: Environment, directory: Path, name: str) -> None:
        self.name = name
        self.namespace = project_of(environment)
        self._kubectl = Commands("kubectl", "install kubectl", directory)

    def apply(self, document: dict[str, Any]) -> None:
        """Create the resource from `document`.

        Raises DeploymentError if it exists: its run is in progress or has a verdict.
        """
        output = self._run("get", "chaos", self.name, "--ignore-not-found", "--output=json")
        if output.strip():
            status = json.loads(output).get("status") or {}
            state = status.get("verdict") or status.get("phase") or Phase.PENDING
            raise DeploymentError(
                f"there is a ChaosScenario {self.name} in {self.namespace} already ({state}):"
                f" kubectl --namespace {self.namespace} delete chaos {self.name}"
            )
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            self._run("apply", f"--filename={file.name}")

    def follow(self) -> Iterator[dict[str, Any]]:
        """Poll the resource and yield its status after each change, until it has a verdict.

        Failed polls are repeated; if there is no response for two minutes, DeploymentError is
        raised.
        """
        last: dict[str, Any] = {}
        last_response = time.monotonic()
        while not last.get("verdict"):
            try:
                output = self._run("get", "chaos", self.name, "--output=json")
                last_response = time.monotonic()
            except DeploymentError:
                if time.monotonic() - last_response > _TIMEOUT:
                    raise
            else:
                status = json.loads(output).get("status") or {}
                if status != last:
                    last = status
                    yield status
            if not last.get("verdict"):
                time.sleep(_POLL_INTERVAL)

    def abort(self) -> None:
        """Ask the operator to abort the run."""
        self._run("patch", "chaos", self.name, "--type=merge", '--patch={"spec":{"abort":true}}')

    def _run(self, *words: str) -> str:
        label = f"kubectl {words[0]} chaos/{self.name}"
        return self._kubectl.run("--namespace", self.namespace, *words, label=label)


class Story:
    """Reports the progress of a run: passes each new fact in a status to `tell`, as a line."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._reported: set[str] = set()

    def see(self, status: dict[str, Any]) -> None:
        """Report what in `status` has not been reported before."""
        phase, message = status.get("phase", ""), status.get("message", "")
        if phase and not status.get("verdict"):
            self._once(f"phase {phase}" + (f": {message}" if message else ""))
        for fault in status.get("faults", ()):
            for field, event in _FAULT_TIMESTAMPS:
                if fault.get(field):
                    self._once(f"{fault['name']}: {event} at {fault[field]}")
        for policy in status.get("policies", ()):
            self._once(f"NetworkPolicy {policy}")

    def _once(self, line: str) -> None:
        if line not in self._reported:
            self._reported.add(line)
            self._tell(line)


def summary(status: dict[str, Any]) -> list[str]:
    """Return the verdict and its evidence as lines of text. `status` must have a verdict."""
    message = status.get("message", "")
    lines = [f"{status['verdict']}" + (f"  {message}" if message else "")]
    for expectation in status.get("expectations", ()):
        mark = "met   " if expectation["met"] else "MISSED"
        after = f" after {expectation['latency']}" if expectation.get("latency") else ""
        reason = f": {expectation['reason']}" if expectation.get("reason") else ""
        lines.append(f"  {mark} {expectation['label']}{after}{reason}")
    if status.get("recover"):
        lines.append(f"  recovered {status['recover']} after the last fault")
    if audit := status.get("audit"):
        lines.append(
            f"  audit: {audit['events']} events, coverage {audit['coverage']},"
            f" {audit['discrepancies']} discrepancies"
        )
    return lines
