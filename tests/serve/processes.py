"""Starts the seven services as processes, as a user does with ``trading serve``."""

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.api.running import Client, free_offset, wait_for
from tests.forked import Forked, start
from trading.topology import AUDIT_CORRELATOR, SERVICES, TEST_COORDINATOR


class Apart:
    """The seven services, each in its own process, with a common data directory.

    ``environment`` is added to the environment of all services, ``of`` to that of single services
    by their names. ``url`` has the base URL of each service. ``forked`` processes start faster (see
    tests.forked); others start a new Python interpreter. A context manager that starts all services
    and stops them at the end.
    """

    def __init__(
        self,
        data: Path,
        *,
        of: dict[str, dict[str, str]] | None = None,
        forked: bool = True,
        **environment: str,
    ) -> None:
        self.data = data
        self.offset = free_offset()
        self.url = {n: f"http://127.0.0.1:{s.port + self.offset}" for n, s in SERVICES.items()}
        self._environment = environment
        self.of = of or {}
        self.process: dict[str, subprocess.Popen[bytes] | Forked] = {}
        self._forked = forked

    def __enter__(self) -> "Apart":
        """Start all services."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self, *services: str) -> None:
        """Start ``services``, or all; return when they are ready and all their links are open."""
        for name in services or SERVICES:
            self.begin(name)
        for name in services or SERVICES:
            wait_for(f"{name} to be ready", lambda name=name: self.linked(name))

    def begin(self, name: str, *arguments: str, label: str = "") -> None:
        """Start one service without waiting; ``label`` names a second process of it."""
        label = label or name
        self.data.mkdir(parents=True, exist_ok=True)
        log = self.data / f"{label}.log"
        env = {
            **os.environ,
            "PORT_OFFSET": str(self.offset),
            "DATA_DIR": str(self.data),
            **self._environment,
            **self.of.get(label, {}),
        }
        # A forked process does not evaluate PYTHONPATH again.
        forked = self._forked and "PYTHONPATH" not in self.of.get(label, {})
        self.process[label] = start(
            ["serve", name, *arguments], env, self.data, log, log, forked=forked
        )

    def linked(self, name: str) -> bool:
        """Return whether the service is ready and all its links are open."""
        try:
            readiness = httpx.get(self.url[name] + "/ready").json()
        except (httpx.HTTPError, ValueError):
            if self.process[name].poll() is not None:
                raise AssertionError(f"{name} ended: {self.log(name)}") from None
            return False
        return bool(readiness["ready"]) and set(readiness["dependencies"].values()) == {"ok"}

    def kill(self, *labels: str, number: int = signal.SIGKILL) -> None:
        for label in labels:
            self.process[label].send_signal(number)
            self.process[label].wait(20)

    def stop(self) -> dict[str, int]:
        """Interrupt all processes as Ctrl-C does; return their exit codes."""
        for process in self.process.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGINT)
        return {name: process.wait(20) for name, process in self.process.items()}

    def log(self, label: str) -> str:
        return (self.data / f"{label}.log").read_text()

    @property
    def credentials(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.data / "credentials.json").read_text())
        return content

    @property
    def operator(self) -> dict[str, str]:
        """The headers of a request that may act at the risk monitor."""
        return {"Authorization": f"Bearer {self.credentials['risk_token']}"}

    def exchange(self) -> Client:
        credentials = self.credentials
        return Client(self.url["exchange"], credentials["api_key"], credentials["api_secret"])

    def coordinator(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.credentials['chaos_token']}"}
        return httpx.Client(base_url=self.url[TEST_COORDINATOR], headers=headers, timeout=30)

    def journal(self, service: str) -> list[Any]:
        """Return the entries of the session, each ``[sequence number, time, type, payload]``."""
        token = json.loads((self.data / "links.json").read_text())[AUDIT_CORRELATOR]
        headers = {"Authorization": f"Bearer {token}", "X-Service": AUDIT_CORRELATOR}
        response = httpx.get(self.url[service] + "/journal", headers=headers, timeout=60)
        assert response.status_code == 200, response.text
        return [json.loads(line)["entry"] for line in response.text.splitlines()]

    def run(self, scenario: str, seed: int | None = None, **options: Any) -> str:
        """Start a run and return its id.

        ``scenario`` is a name, or a text with line breaks; ``options`` are added to the request.
        """
        body: dict[str, Any] = {"seed": seed, **options}
        body["text" if "\n" in scenario else "scenario"] = scenario
        with self.coordinator() as coordinator:
            response = coordinator.post("/runs", json=body)
        assert response.status_code == 202, response.text
        return str(response.json()["id"])

    def phase(self, run_id: str) -> str:
        try:
            with self.coordinator() as coordinator:
                return str(coordinator.get(f"/runs/{run_id}").json()["phase"])
        except httpx.HTTPError:
            return ""

    def waiting_for(self, run_id: str) -> list[str]:
        """Return the services for which simulated time waits."""
        with self.coordinator() as coordinator:
            services: list[str] = coordinator.get(f"/runs/{run_id}").json()["waiting_for"]
        return services

    def at(self, run_id: str) -> int:
        """Return the simulated time of a run in microseconds; -1 while it is unknown."""
        try:
            with self.coordinator() as coordinator:
                return int(coordinator.get(f"/runs/{run_id}").json()["at"])
        except (httpx.HTTPError, KeyError, ValueError):
            return -1

    def verdict(self, run_id: str, seconds: float = 300) -> dict[str, Any]:
        """Wait for the verdict on a run and return it."""

        def ended() -> Any:
            try:
                with self.coordinator() as coordinator:
                    return coordinator.get(f"/runs/{run_id}").json().get("verdict")
            except httpx.HTTPError:
                return None

        verdict: dict[str, Any] = wait_for("the verdict", ended, seconds, every=0.25)
        return verdict


def kinds(entries: Sequence[Any]) -> set[str]:
    return {entry[2] for entry in entries}
