"""The seven services as processes of their own, as a user starts them with ``trading serve``."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.api.running import Client, free_offset, wait_for
from trading.topology import AUDIT_CORRELATOR, SERVICES, TEST_COORDINATOR


class Apart:
    """``url``: by service. ``environment``: of all; ``of``: of one service, by its name."""

    def __init__(
        self, data: Path, *, of: dict[str, dict[str, str]] | None = None, **environment: str
    ) -> None:
        self.data = data
        self.offset = free_offset()
        self.url = {n: f"http://127.0.0.1:{s.port + self.offset}" for n, s in SERVICES.items()}
        self._environment = environment
        self._of = of or {}
        self.process: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *services: str) -> None:
        """These, or all; returns once each is ready, with its links."""
        for name in services or SERVICES:
            self.begin(name)
        for name in services or SERVICES:
            wait_for(f"{name} to be ready", lambda name=name: self.linked(name))

    def begin(self, name: str, *arguments: str, label: str = "") -> None:
        label = label or name
        self.data.mkdir(parents=True, exist_ok=True)
        with (self.data / f"{label}.log").open("ab") as log:
            self.process[label] = subprocess.Popen(
                [sys.executable, "-m", "trading.cli", "serve", name, *arguments],
                stdout=log,
                stderr=log,
                env={
                    **os.environ,
                    "PORT_OFFSET": str(self.offset),
                    "DATA_DIR": str(self.data),
                    **self._environment,
                    **self._of.get(label, {}),
                },
                cwd=self.data,
            )

    def linked(self, name: str) -> bool:
        try:
            found = httpx.get(self.url[name] + "/ready").json()
        except (httpx.HTTPError, ValueError):
            if self.process[name].poll() is not None:
                raise AssertionError(f"{name} ended: {self.log(name)}") from None
            return False
        return bool(found["ready"]) and set(found["dependencies"].values()) == {"ok"}

    def kill(self, *labels: str, number: int = signal.SIGKILL) -> None:
        for label in labels:
            self.process[label].send_signal(number)
            self.process[label].wait(20)

    def stop(self) -> dict[str, int]:
        """Ctrl-C for all; their exit codes."""
        for process in self.process.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGINT)
        return {name: process.wait(20) for name, process in self.process.items()}

    def log(self, label: str) -> str:
        return (self.data / f"{label}.log").read_text()

    @property
    def credentials(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.data / "credentials.json").read_text())
        return found

    def exchange(self) -> Client:
        known = self.credentials
        return Client(self.url["exchange"], known["api_key"], known["api_secret"])

    def coordinator(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.credentials['chaos_token']}"}
        return httpx.Client(base_url=self.url[TEST_COORDINATOR], headers=headers, timeout=30)

    def journal(self, service: str) -> list[Any]:
        """Entries ``[seq, time, type, payload]`` of the session, as the auditor may read them."""
        token = json.loads((self.data / "links.json").read_text())[AUDIT_CORRELATOR]
        headers = {"Authorization": f"Bearer {token}", "X-Service": AUDIT_CORRELATOR}
        answer = httpx.get(self.url[service] + "/journal", headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        return [json.loads(line)["entry"] for line in answer.text.splitlines()]

    def run(self, scenario: str, **overrides: str) -> str:
        """Begin a run; its id. ``scenario``: a name, or a text with line breaks."""
        body: dict[str, Any] = {"overrides": overrides}
        body["text" if "\n" in scenario else "scenario"] = scenario
        with self.coordinator() as coordinator:
            answer = coordinator.post("/runs", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def phase(self, run_id: str) -> str:
        try:
            with self.coordinator() as coordinator:
                return str(coordinator.get(f"/runs/{run_id}").json()["phase"])
        except httpx.HTTPError:
            return ""

    def verdict(self, run_id: str, seconds: float = 300) -> dict[str, Any]:
        def ended() -> Any:
            try:
                with self.coordinator() as coordinator:
                    return coordinator.get(f"/runs/{run_id}").json()["verdict"]
            except httpx.HTTPError:
                return None

        found: dict[str, Any] = wait_for("the verdict", ended, seconds)
        return found


def kinds(entries: Sequence[Any]) -> set[str]:
    return {entry[2] for entry in entries}
