"""A scenario as a resource of a cluster: applied, followed, told, with kubectl."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from trading.deploy.commands import Commands
from trading.deploy.environments import DeploymentError, Environment, project_of

#: Wall seconds between two looks, and without any answer before it is given up.
_LOOK_EVERY = 1.0
_PATIENCE = 120.0
_TIMES = (
    ("requestedAt", "applied"),
    ("injectedAt", "verified in the data plane"),
    ("endedAt", "ended"),
    ("recoveredAt", "recovered"),
)


class ScenarioResource:
    """``name``: of a ChaosScenario in the environment's namespace. All raise DeploymentError."""

    def __init__(self, environment: Environment, directory: Path, name: str) -> None:
        self.name = name
        self.namespace = project_of(environment)
        self._kubectl = Commands("kubectl", "install kubectl", directory)

    def apply(self, document: dict[str, Any]) -> None:
        """A new one: what is there already has its own verdict, or will have."""
        found = self._run("get", "chaos", self.name, "--ignore-not-found", "--output=json")
        if found.strip():
            status = json.loads(found).get("status") or {}
            how = status.get("verdict") or status.get("phase") or "Pending"
            raise DeploymentError(
                f"there is a ChaosScenario {self.name} in {self.namespace} already ({how}):"
                f" kubectl --namespace {self.namespace} delete chaos {self.name}"
            )
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            self._run("apply", f"--filename={file.name}")

    def follow(self) -> Iterator[dict[str, Any]]:
        """Its status whenever it has changed, the last one with the verdict."""
        last: dict[str, Any] = {}
        answered = time.monotonic()
        while not last.get("verdict"):
            try:
                found = self._run("get", "chaos", self.name, "--output=json")
                answered = time.monotonic()
            except DeploymentError:
                if time.monotonic() - answered > _PATIENCE:
                    raise
            else:
                status = json.loads(found).get("status") or {}
                if status != last:
                    last = status
                    yield status
            if not last.get("verdict"):
                time.sleep(_LOOK_EVERY)

    def abort(self) -> None:
        self._run("patch", "chaos", self.name, "--type=merge", '--patch={"spec":{"abort":true}}')

    def _run(self, *words: str) -> str:
        what = f"kubectl {words[0]} chaos/{self.name}"
        return self._kubectl.run("--namespace", self.namespace, *words, what=what)


class Story:
    """What is new in a status, as lines."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told: set[str] = set()

    def see(self, status: dict[str, Any]) -> None:
        phase, message = status.get("phase", ""), status.get("message", "")
        if phase and not status.get("verdict"):
            self._once(f"phase {phase}" + (f": {message}" if message else ""))
        for fault in status.get("faults", ()):
            for field, what in _TIMES:
                if fault.get(field):
                    self._once(f"{fault['name']}: {what} at {fault[field]}")
        for policy in status.get("policies", ()):
            self._once(f"NetworkPolicy {policy}")

    def _once(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self._tell(line)


def summary(status: dict[str, Any]) -> list[str]:
    """The verdict and its evidence, for people."""
    message = status.get("message", "")
    lines = [f"{status['verdict']}" + (f"  {message}" if message else "")]
    for one in status.get("expectations", ()):
        mark = "met   " if one["met"] else "MISSED"
        after = f" after {one['latency']}" if one.get("latency") else ""
        why = f": {one['reason']}" if one.get("reason") else ""
        lines.append(f"  {mark} {one['label']}{after}{why}")
    if status.get("recover"):
        lines.append(f"  recovered {status['recover']} after the last fault")
    if audit := status.get("audit"):
        lines.append(
            f"  audit: {audit['events']} events, coverage {audit['coverage']},"
            f" {audit['discrepancies']} discrepancies"
        )
    return lines
