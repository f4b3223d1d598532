"""Manage a deployment by Helm in the cluster of kubectl's current context."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from trading.deploy.commands import Commands
from trading.deploy.environments import (
    CHART,
    RELEASE,
    SECRETS_VARIABLE,
    DeploymentError,
    Environment,
    project_of,
)
from trading.deploy.ready import parse_readiness, readiness_command
from trading.deploy.secrets import AUTHORITY
from trading.deploy.state import FAILED, HEALTHY, MISSING, STARTING, Line, State
from trading.topology import SERVICES

_COMPONENT = "app.kubernetes.io/component"
_RELEASE_SELECTOR = f"app.kubernetes.io/instance={RELEASE}"
#: Components whose key in the chart's values differs from their name.
_VALUE_KEYS = {"otel-collector": "otelCollector"}
#: Waiting reasons of a container that Kubernetes does not resolve without intervention.
_FATAL_REASONS = (
    "CrashLoopBackOff",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
)


class OnKubernetes:
    """A Platform that calls helm and kubectl.

    `directory` is the project directory, which contains the chart.
    """

    def __init__(self, environment: Environment, directory: Path) -> None:
        self._environment = environment
        self._namespace = project_of(environment)
        self._helm = Commands("helm", "install Helm 3.16 or newer", directory)
        self._kubectl = Commands("kubectl", "install kubectl", directory)

    def check(self) -> None:
        """Raise DeploymentError if helm or kubectl is missing or the cluster does not answer."""
        self._helm.run("version", "--short")
        if not self._kubectl.works("version", "--request-timeout=5s"):
            context = self._kubectl.run("config", "current-context").strip()
            raise DeploymentError(
                f"the cluster of kubectl's context {context} does not answer: kubectl"
                " cluster-info says why"
            )

    def prepare(self, without: Iterable[str], tell: Callable[[str], None]) -> None:
        """Create the namespace, and Secrets from the directory in TRADING_SECRETS_DIR.

        Does nothing if that variable is not set. Secrets that exist in the cluster are not
        changed. Images are not handled here: the cluster pulls them, and for kind,
        `Kind.bring_up` loads them.
        """
        tell(f"namespace {self._namespace}")
        secrets_directory = os.environ.get(SECRETS_VARIABLE, "")
        if not secrets_directory:
            return
        if not self._kubectl.works("get", "namespace", self._namespace):
            self._kubectl.run("create", "namespace", self._namespace)
        for folder in sorted(path for path in Path(secrets_directory).iterdir() if path.is_dir()):
            name = f"{RELEASE}-{folder.name}"
            if folder.name != AUTHORITY and not self._has_secret(name):
                tell(f"Secret {name}")
                self._in_namespace("create", "secret", "generic", name, f"--from-file={folder}")

    def _has_secret(self, name: str) -> bool:
        output = self._in_namespace("get", "secret", name, "--ignore-not-found", "--output=name")
        return bool(output.strip())

    def apply(self, without: Iterable[str]) -> None:
        """Install or upgrade the release, with the components in `without` disabled."""
        words = ["upgrade", "--install", RELEASE, str(CHART), "--create-namespace"]
        words += ["--namespace", self._namespace]
        for path in self._environment.values:
            words += ["--values", str(path)]
        for name in without:
            words += ["--set", f"{_VALUE_KEYS.get(name, name)}.enabled=false"]
        self._helm.run(*words, seconds=300, label="helm upgrade --install")

    def states(self) -> list[State]:
        """Return the state of each component, sorted by name.

        If a component has several pods, the first one that is not healthy determines it.
        """
        pods = self._get("pods")
        workloads = {w["metadata"]["labels"][_COMPONENT] for w in self._get("deploy,statefulset")}
        by_component: dict[str, list[State]] = {}
        for pod in pods:
            name = pod["metadata"]["labels"].get(_COMPONENT, "")
            if name in workloads:
                by_component.setdefault(name, []).append(_state(name, pod))
        deployed = [
            next((s for s in states if s.status != HEALTHY), states[0])
            for states in by_component.values()
        ]
        missing = [State(name, MISSING, "no pod") for name in workloads - by_component.keys()]
        if not workloads:
            missing = [State(name, MISSING, "not deployed") for name in SERVICES]
        return sorted([*deployed, *missing])

    def dependencies(self, component: str) -> dict[str, str]:
        """Return the problems of the component's dependencies; see `Platform.dependencies`."""
        workload = f"deploy/{RELEASE}-{component}"
        try:
            output = self._in_namespace("exec", workload, "--", *readiness_command(component))
        except DeploymentError as error:
            return {"ready": str(error)}
        return parse_readiness(output)

    def tail(self, component: str, lines: int) -> list[str]:
        """Return the last `lines` lines of the component's log."""
        selector = f"{_RELEASE_SELECTOR},{_COMPONENT}={component}"
        return self._in_namespace("logs", "-l", selector, f"--tail={lines}").splitlines()

    def logs(self, components: Iterable[str], lines: int, follow: bool) -> Iterable[Line]:
        """Return the last `lines` log lines of each component, sorted by time.

        With `follow`, lines are yielded unsorted as they arrive, without end.
        """
        names = ",".join(components)
        selector = _RELEASE_SELECTOR + (f",{_COMPONENT} in ({names})" if names else "")
        words = ["logs", "-l", selector, f"--tail={lines}", "--timestamps", "--prefix"]
        words += ["--all-containers", "--max-log-requests=50"]
        if follow:
            arguments = ("--namespace", self._namespace, *words, "--follow")
            return (_line(text) for text in self._kubectl.lines(*arguments))
        return sorted(_line(text) for text in self._in_namespace(*words).splitlines())

    def remove(self, volumes: bool) -> None:
        """Uninstall the release, and delete its volume claims if `volumes` is set."""
        self._helm.run("uninstall", RELEASE, "--namespace", self._namespace, "--wait", seconds=300)
        if volumes:
            self._in_namespace("delete", "pvc", "-l", _RELEASE_SELECTOR)

    def _get(self, kinds: str) -> list[dict[str, Any]]:
        output = self._in_namespace("get", kinds, "-l", _RELEASE_SELECTOR, "--output=json")
        items: list[dict[str, Any]] = json.loads(output)["items"]
        return items

    def _in_namespace(self, *words: str) -> str:
        label = f"kubectl {words[0]}"
        return self._kubectl.run("--namespace", self._namespace, *words, label=label)


def _state(name: str, pod: dict[str, Any]) -> State:
    status = pod["status"]
    for container in status.get("containerStatuses", ()):
        waiting = container["state"].get("waiting", {})
        if waiting.get("reason") in _FATAL_REASONS:
            problem = f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
            return State(name, FAILED, problem)
    conditions = {c["type"]: c for c in status.get("conditions", ())}
    ready = conditions.get("Ready", {})
    if ready.get("status") == "True":
        return State(name, HEALTHY)
    scheduled = conditions.get("PodScheduled", {})
    condition = scheduled if scheduled.get("status") == "False" else ready
    return State(name, STARTING, condition.get("message", "") or status.get("phase", ""))


def _line(text: str) -> Line:
    """Parse a line like ``[pod/trading-exchange-6d/exchange] 2026-11-26T18:00:00.1Z text``."""
    source, _, rest = text.partition("] ")
    time, _, message = rest.partition(" ")
    return Line(time, source.rpartition("/")[2], message)
