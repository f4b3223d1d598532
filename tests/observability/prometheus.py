"""A real Prometheus that scrapes the services of a test."""

import json
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml

from tests.api.running import wait_for

#: Seconds between two scrapes, and the value for Grafana's `$__rate_interval`.
EVERY, RATE_INTERVAL = 1, "15s"


def drawn(
    url: str, expr: str, start: float, end: float, rate_interval: str = RATE_INTERVAL
) -> list[Any]:
    """Return what a panel would draw from the Prometheus at `url`: all series of the query that
    have at least one finite value.
    """
    params = {
        "query": expr.replace("$__rate_interval", rate_interval),
        "start": str(start),
        "end": str(end),
        "step": str(EVERY),
    }
    answer = httpx.get(url + "/api/v1/query_range", params=params, timeout=30)
    answer_json = json.loads(answer.text)
    assert answer_json["status"] == "success", f"{expr}: {answer_json}"
    return [
        series
        for series in answer_json["data"]["result"]
        if any(value not in ("NaN", "+Inf", "-Inf") for _, value in series["values"])
    ]


class Prometheus:
    """A Prometheus process. `targets` has the base URL of each job."""

    def __init__(self, folder: Path, targets: Mapping[str, str]) -> None:
        folder.mkdir(parents=True)
        config = {
            "global": {"scrape_interval": f"{EVERY}s"},
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [urlsplit(url).netloc]}]}
                for job, url in targets.items()
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        self._log = (folder / "log").open("w")
        self._process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={urlsplit(self.url).netloc}",
            ],
            stdout=self._log,
            stderr=self._log,
        )
        wait_for("Prometheus", self._ready)

    def stop(self) -> None:
        """Stop the process."""
        self._process.terminate()
        self._process.wait(20)
        self._log.close()

    def series(self, expr: str, start: float, end: float) -> list[Any]:
        """Return what a panel would draw of a query; the times are Unix seconds."""
        return drawn(self.url, expr, start, end)

    def _ready(self) -> bool:
        assert self._process.poll() is None, "Prometheus ended; see its log"
        try:
            return httpx.get(self.url + "/-/ready").is_success
        except httpx.HTTPError:
            return False
