"""The seven services as processes of their own, as a user starts them with ``trading serve``."""

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
    """``url``: by service. ``environment``: of all; ``of``: of one service, by its name.
    ``forked``: quicker, see tests.forked; otherwise each is started from nothing.
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
        """Start all of them."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self, *services: str) -> None:
        """These, or all; returns once each is ready, with its links."""
        for name in services or SERVICES:
            self.begin(name)
        for name in services or SERVICES:
            wait_for(f"{name} to be ready", lambda name=name: self.linked(name))

    def begin(self, name: str, *arguments: str, label: str = "") -> None:
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
        # What Python itself reads from there, a forked one has read already.
        forked = self._forked and "PYTHONPATH" not in self.of.get(label, {})
        self.process[label] = start(
            ["serve", name, *arguments], env, self.data, log, log, forked=forked
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

    @property
    def operator(self) -> dict[str, str]:
        """Headers of who may act at the risk monitor."""
        return {"Authorization": f"Bearer {self.credentials['risk_token']}"}

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

    def run(self, scenario: str, seed: int | None = None, **options: Any) -> str:
        """Begin a run; its id. ``scenario``: a name, or a text with line breaks. ``options``: of
        the request.
        """
        body: dict[str, Any] = {"seed": seed, **options}
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

    def waiting_for(self, run_id: str) -> list[str]:
        """Those for whom simulated time waits."""
        with self.coordinator() as coordinator:
            found: list[str] = coordinator.get(f"/runs/{run_id}").json()["waiting_for"]
        return found

    def at(self, run_id: str) -> int:
        """The simulated time of a run, microseconds; -1 while nobody can say."""
        try:
            with self.coordinator() as coordinator:
                return int(coordinator.get(f"/runs/{run_id}").json()["at"])
        except (httpx.HTTPError, KeyError, ValueError):
            return -1

    def verdict(self, run_id: str, seconds: float = 300) -> dict[str, Any]:
        def ended() -> Any:
            try:
                with self.coordinator() as coordinator:
                    return coordinator.get(f"/runs/{run_id}").json().get("verdict")
            except httpx.HTTPError:
                return None

        found: dict[str, Any] = wait_for("the verdict", ended, seconds, every=0.25)
        return found


def kinds(entries: Sequence[Any]) -> set[str]:
    return {entry[2] for entry in entries}
