"""One run of the whole ecosystem, scraped by a real Prometheus from its start to its verdict."""

import os
import shutil
import time
from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest

from tests.api.running import Up, wait_for
from tests.observability.prometheus import Prometheus
from tests.observability.receiver import Received, Receiver
from trading.topology import SERVICES


class Watched(NamedTuple):
    """The observed run. `started` is the start of the ecosystem, `began` and `ended` are those of
    the run, in Unix seconds of wall time. `texts` has /metrics by service, `traces` the spans by
    trace id.
    """

    prometheus: Prometheus
    started: float
    began: float
    ended: float
    texts: dict[str, str]
    traces: dict[str, list[Received]]


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Run market-crash with Prometheus and an OTLP receiver; yield what they recorded."""
    if shutil.which("prometheus") is None:
        why = "prometheus (Debian: prometheus) is not on this machine: no query was asked"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("watched")
    started = time.time()
    receiver = Receiver()
    up = Up(folder / "data", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    urls = {name: up.url[name] for name in SERVICES}
    prometheus = Prometheus(folder / "prometheus", urls)
    try:

        def every_target_was_read() -> bool:
            return len(prometheus.series("up == 1", started, time.time())) == len(urls)

        # Prometheus discovers its targets first; a virtual run could end before their first scrape.
        wait_for("a reading of every service", every_target_was_read)
        began = time.time()
        with up.coordinator() as coordinator:
            run = coordinator.post("/runs", json={"scenario": "market-crash"}).json()["id"]

            def verdict() -> str:
                for url in urls.values():
                    httpx.get(url + "/openapi.json")
                return str(coordinator.get(f"/runs/{run}").json()["outcome"])

            assert wait_for("the verdict", verdict, 200) == "Pass"
        metric = "test_coordinator_detection_latency_seconds"
        wait_for("its figures", lambda: prometheus.series(metric, began, time.time()))
        texts = {name: httpx.get(url + "/metrics").text for name, url in urls.items()}
        ended = time.time()
        # The services export their remaining spans when they stop.
        up.stop()
        yield Watched(prometheus, started, began, ended, texts, receiver.traces())
    finally:
        prometheus.stop()
        up.stop()
        receiver.stop()
