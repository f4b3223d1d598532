"""The benchmarks run in small sizes and measure what they claim. Their speed is not tested here."""

import asyncio
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import detection, fanout, page, startup
from bench.client import Client, get
from bench.measure import Figure
from bench.running import Running
from bench.subscribers import Arrivals, SubscriberFactory, follow, server_sent, web_socket
from trading.topology import EXCHANGE, SERVICES

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timeout(300)
linux = pytest.mark.skipif(sys.platform != "linux", reason="another process's clock: Linux")


def by_name(figures: list[Figure]) -> dict[str, float]:
    """Return the values of the figures by name."""
    assert all(f.unit and (f.met is None) == (not f.aim) for f in figures)
    return {f.name: f.value for f in figures}


def test_detection_measures_every_injection() -> None:
    with Running() as up:
        latencies = asyncio.run(detection.measure(up, 3))
    assert [len(seconds) for seconds in latencies] == [3, 3, 3]
    assert all(0 < s < detection.TIMEOUT for seconds in latencies for s in seconds)


@linux
def test_fan_out_reaches_every_subscriber() -> None:
    figures = by_name(fanout.run(subscribers=3, seconds=1))
    assert figures["3 on depth and trades: arrived"] == 100
    assert figures["3 on book ticker: arrived"] == 100
    # At most ten messages per second in this market, to each subscriber.
    assert 3 < figures["3 on book ticker: messages"] <= 3 * 15
    assert figures["3 on dashboard events: messages"] > 0
    assert all(math.isfinite(value) for value in figures.values())


@linux
def test_start_stop_and_idleness_are_measured() -> None:
    figures = by_name(startup.run(rounds=1, idle=0.5))
    assert figures["trading up: to ready"] > figures["trading --help"] > 0
    assert figures["trading up: Ctrl-C to its end"] > 0
    assert figures["trading up, idle: memory"] > 20


@linux
def test_processor_time_is_that_of_the_process() -> None:
    with Running() as up:
        before = up.cpu_seconds()
        asyncio.run(_send_often(up.ports[EXCHANGE], 200))
        after = up.cpu_seconds()
        assert after - before > 0.02
        ours = time.process_time() + 1
        while time.process_time() < ours:
            sum(range(1000))
        assert up.cpu_seconds() - after < 0.7


async def _send_often(port: int, times: int) -> None:
    client = await Client.open(port)
    for _ in range(times):
        await client.send(get("/api/v3/time"))
    client.close()


def test_what_was_started_has_ended() -> None:
    up = Running()
    offset = up.ports[EXCHANGE] - SERVICES[EXCHANGE].port
    up.stop()
    assert up.process.returncode == 0
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", SERVICES[EXCHANGE].port + offset))


def test_a_start_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "loud")
    with pytest.raises(RuntimeError, match="LOG_LEVEL"):
        Running()


def test_a_refused_subscriber_is_no_subscriber() -> None:
    with Running() as up:
        for factory in (web_socket("/nothing"), server_sent("/nothing")):
            with pytest.raises(ConnectionError, match=r"HTTP/1\.1 40[34]"):
                asyncio.run(_subscribe(up.ports[EXCHANGE], factory))


async def _subscribe(port: int, factory: SubscriberFactory) -> None:
    await follow(port, factory, 2, Arrivals())


def test_a_dropped_subscriber_is_counted() -> None:
    async def main() -> int:
        up = Running()
        arrivals = Arrivals()
        await follow(up.ports[EXCHANGE], web_socket(fanout.TOP), 2, arrivals)
        up.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(60):
            while arrivals.lost < 2:  # noqa: ASYNC110 - the protocol has no event for it
                await asyncio.sleep(0.01)
        await asyncio.to_thread(up.stop)
        return arrivals.lost

    assert asyncio.run(main()) == 2


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([3.0, 1.0, 2.0], 50, 2.0), ([5.0], 99, 5.0), ([float(n) for n in range(1, 201)], 99, 198.0)],
)
def test_percentiles_are_by_nearest_rank(
    values: list[float], percent: int, expected: float
) -> None:
    assert detection.percentile(values, percent) == expected


def test_the_page_s_table_is_made_anew_and_its_prose_stays() -> None:
    text = "above\n<!-- bench -->\n| old | 1 |\n\nwhy\n<!-- /bench -->\nbelow\n"
    figures = [
        Figure("quick", 1234.5, "/s", ">= 1,000", True),
        Figure("slow", 2.5, "s", "< 1", False),
        Figure("plain", 1, "x"),
    ]
    assert page.replaced(text, figures) == (
        "above\n<!-- bench -->\n| figure | measured | aim | |\n|---|---|---|---|\n"
        "| quick | 1,234 /s | >= 1,000 | met |\n| slow | 2.50 s | < 1 | **missed** |\n"
        "| plain | 1.00 x |  |  |\n\nwhy\n<!-- /bench -->\nbelow\n"
    )
    with pytest.raises(ValueError, match="<!-- bench -->"):
        page.replaced("no marks", figures)


def bench(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m bench` in a directory."""
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        capture_output=True,
        text=True,
    )


def test_figures_of_an_earlier_run_stay_and_reach_the_page(tmp_path: Path) -> None:
    earlier = {"matching": [Figure("kept", 7, "x")._asdict()]}
    results = tmp_path / "bench-results.json"
    results.write_text(json.dumps(earlier), encoding="utf-8")
    process = bench(tmp_path, "journal")
    assert process.returncode == 0, process.stderr
    assert list(json.loads(results.read_text(encoding="utf-8"))) == ["matching", "journal"]

    file = tmp_path / "docs" / "benchmarks.md"
    file.parent.mkdir()
    file.write_text("<!-- bench -->\n<!-- /bench -->\n", encoding="utf-8")
    assert bench(tmp_path, "--page").returncode == 0
    text = file.read_text(encoding="utf-8")
    assert text.index("| kept | 7.00 x |") < text.index("| journal: chained events appended |")


def test_mistakes_are_named(tmp_path: Path) -> None:
    assert "no benchmark speed" in bench(tmp_path, "speed").stderr
    assert "run make bench first" in bench(tmp_path, "--page").stderr
