"""Every service exports the metrics of the table of signals, and no others."""

import re
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.observability.conftest import Watched
from tools.signal_table import texts
from trading.telemetry.counts import MessageCounters
from trading.telemetry.families import counters, gauge
from trading.telemetry.signals import LIVE, signals_of
from trading.topology import SERVICES

#: Conditions that a run of market-crash does not produce.
_NOT_HERE = (LIVE,)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_shows_its_signals(watched: Watched, service: str) -> None:
    signals = signals_of(service)
    families = {f.name: f for f in text_string_to_metric_families(watched.texts[service])}
    ours = {name: f for name, f in families.items() if not name.startswith("process_")}
    assert ours.keys() <= signals.keys()
    sampled = {name for name, family in ours.items() if family.samples}
    missing = signals.keys() - sampled
    assert {signals[name].when for name in missing} <= {*_NOT_HERE, "after a kill switch"}, missing
    for name, family in ours.items():
        assert (family.type, family.documentation) == (signals[name].kind, signals[name].text)
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == set(signals[name].labels), name
    assert {"process_cpu_seconds", "process_resident_memory_bytes"} <= families.keys()


def test_promtool_finds_nothing_to_mend(watched: Watched) -> None:
    for service, text in watched.texts.items():
        result = subprocess.run(
            ["promtool", "check", "metrics"], input=text, capture_output=True, text=True
        )
        assert result.returncode == 0, f"{service}: {result.stderr}"


def test_no_route_is_a_path_with_a_name_in_it(watched: Watched) -> None:
    """A label value for each run or order would make too many series."""
    routes = set(re.findall(r'route="([^"]*)"', watched.texts["test-coordinator"]))
    assert "/runs/{run_id}" in routes
    assert not [route for route in routes if "market-crash" in route]


def test_what_is_not_in_the_table_cannot_be_shown() -> None:
    with pytest.raises(KeyError):
        gauge("exchange_invented", 1)
    with pytest.raises(KeyError):
        counters("trading_ready", [(("exchange",), 1.0)])


def test_counters_start_from_zero() -> None:
    (family,) = MessageCounters("custodian").collect()
    values = {sample.labels["event"]: sample.value for sample in family.samples}
    assert values == {"instructed": 0, "settled": 0, "failed": 0, "penalised": 0}


def test_every_signal_is_documented() -> None:
    (text,) = texts().values()
    for service in SERVICES:
        for signal in signals_of(service).values():
            assert f"`{signal.shown}`" in text
