"""A deployment by Helm, in the cluster that kubectl's current context names."""

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
from trading.deploy.ready import parsed, question
from trading.deploy.secrets import AUTHORITY
from trading.deploy.state import FAILED, HEALTHY, MISSING, STARTING, Line, State
from trading.topology import SERVICES

_COMPONENT = "app.kubernetes.io/component"
_OF_RELEASE = f"app.kubernetes.io/instance={RELEASE}"
#: As the chart's values call what can be left out.
_VALUES = {"otel-collector": "otelCollector"}
#: Reasons that do not pass by themselves.
_HOPELESS = (
    "CrashLoopBackOff",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
)


class OnKubernetes:
    def __init__(self, environment: Environment, directory: Path) -> None:
        self._environment = environment
        self._namespace = project_of(environment)
        self._helm = Commands("helm", "install Helm 3.16 or newer", directory)
        self._kubectl = Commands("kubectl", "install kubectl", directory)

    def check(self) -> None:
        self._helm.run("version", "--short")
        if not self._kubectl.works("version", "--request-timeout=5s"):
            context = self._kubectl.run("config", "current-context").strip()
            raise DeploymentError(
                f"the cluster of kubectl's context {context} does not answer: kubectl"
                " cluster-info says why"
            )

    def prepare(self, without: Iterable[str], tell: Callable[[str], None]) -> None:
        """Images are the cluster's to pull: with kind, load them. Secrets that are kept become the
        cluster's where it has none of the name.
        """
        tell(f"namespace {self._namespace}")
        kept = os.environ.get(SECRETS_VARIABLE, "")
        if not kept:
            return
        if not self._kubectl.works("get", "namespace", self._namespace):
            self._kubectl.run("create", "namespace", self._namespace)
        for folder in sorted(path for path in Path(kept).iterdir() if path.is_dir()):
            name = f"{RELEASE}-{folder.name}"
            if folder.name != AUTHORITY and not self._has_secret(name):
                tell(f"Secret {name}")
                self._in_namespace("create", "secret", "generic", name, f"--from-file={folder}")

    def _has_secret(self, name: str) -> bool:
        found = self._in_namespace("get", "secret", name, "--ignore-not-found", "--output=name")
        return bool(found.strip())

    def apply(self, without: Iterable[str]) -> None:
        words = ["upgrade", "--install", RELEASE, str(CHART), "--create-namespace"]
        words += ["--namespace", self._namespace]
        for path in self._environment.values:
            words += ["--values", str(path)]
        for name in without:
            words += ["--set", f"{_VALUES.get(name, name)}.enabled=false"]
        self._helm.run(*words, seconds=300, what="helm upgrade --install")

    def states(self) -> list[State]:
        pods = self._get("pods")
        workloads = {w["metadata"]["labels"][_COMPONENT] for w in self._get("deploy,statefulset")}
        found: dict[str, list[State]] = {}
        for pod in pods:
            name = pod["metadata"]["labels"].get(_COMPONENT, "")
            if name in workloads:
                found.setdefault(name, []).append(_state(name, pod))
        made = [
            next((s for s in states if s.status != HEALTHY), states[0]) for states in found.values()
        ]
        missing = [State(name, MISSING, "no pod") for name in workloads - found.keys()]
        if not workloads:
            missing = [State(name, MISSING, "not deployed") for name in SERVICES]
        return sorted([*made, *missing])

    def dependencies(self, component: str) -> dict[str, str]:
        workload = f"deploy/{RELEASE}-{component}"
        try:
            said = self._in_namespace("exec", workload, "--", *question(component))
        except DeploymentError as error:
            return {"ready": str(error)}
        return parsed(said)

    def tail(self, component: str, lines: int) -> list[str]:
        chosen = f"{_OF_RELEASE},{_COMPONENT}={component}"
        return self._in_namespace("logs", "-l", chosen, f"--tail={lines}").splitlines()

    def logs(self, components: Iterable[str], lines: int, follow: bool) -> Iterable[Line]:
        names = ",".join(components)
        chosen = _OF_RELEASE + (f",{_COMPONENT} in ({names})" if names else "")
        words = ["logs", "-l", chosen, f"--tail={lines}", "--timestamps", "--prefix"]
        words += ["--all-containers", "--max-log-requests=50"]
        if follow:
            asked = ("--namespace", self._namespace, *words, "--follow")
            return (_line(text) for text in self._kubectl.lines(*asked))
        return sorted(_line(text) for text in self._in_namespace(*words).splitlines())

    def remove(self, volumes: bool) -> None:
        self._helm.run("uninstall", RELEASE, "--namespace", self._namespace, "--wait", seconds=300)
        if volumes:
            self._in_namespace("delete", "pvc", "-l", _OF_RELEASE)

    def _get(self, kinds: str) -> list[dict[str, Any]]:
        said = self._in_namespace("get", kinds, "-l", _OF_RELEASE, "--output=json")
        found: list[dict[str, Any]] = json.loads(said)["items"]
        return found

    def _in_namespace(self, *words: str) -> str:
        what = f"kubectl {words[0]}"
        return self._kubectl.run("--namespace", self._namespace, *words, what=what)


def _state(name: str, pod: dict[str, Any]) -> State:
    status = pod["status"]
    for container in status.get("containerStatuses", ()):
        waiting = container["state"].get("waiting", {})
        if waiting.get("reason") in _HOPELESS:
            why = f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
            return State(name, FAILED, why)
    conditions = {c["type"]: c for c in status.get("conditions", ())}
    ready = conditions.get("Ready", {})
    if ready.get("status") == "True":
        return State(name, HEALTHY)
    scheduled = conditions.get("PodScheduled", {})
    why = scheduled if scheduled.get("status") == "False" else ready
    return State(name, STARTING, why.get("message", "") or status.get("phase", ""))


def _line(text: str) -> Line:
    """``[pod/trading-exchange-6d/exchange] 2026-11-26T18:00:00.1Z text``"""
    source, _, rest = text.partition("] ")
    time, _, said = rest.partition(" ")
    return Line(time, source.rpartition("/")[2], said)
