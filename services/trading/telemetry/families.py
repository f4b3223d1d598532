"""Metric families by the table: name, text and labels are there, values come from a service."""

from collections.abc import Iterable
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from trading.telemetry.signals import COUNTER, GAUGE, SIGNALS

Sample = tuple[tuple[str, ...], float]
_Family = TypeVar("_Family", GaugeMetricFamily, CounterMetricFamily)


def gauge(name: str, *samples: float) -> GaugeMetricFamily:
    """One without labels, with its value. Raises KeyError where the table has none."""
    return gauges(name, [((), value) for value in samples])


def gauges(name: str, samples: Iterable[Sample]) -> GaugeMetricFamily:
    """``samples``: label values in the table's order, and the value."""
    return _filled(GaugeMetricFamily, GAUGE, name, samples)


def counters(name: str, samples: Iterable[Sample]) -> CounterMetricFamily:
    """As :func:`gauges`, of what only grows."""
    return _filled(CounterMetricFamily, COUNTER, name, samples)


def _filled(family: type[_Family], kind: str, name: str, samples: Iterable[Sample]) -> _Family:
    signal = SIGNALS[name]
    if signal.kind != kind:
        raise KeyError(f"{name} is a {signal.kind}")
    made = family(name, signal.text, labels=signal.labels)
    for labels, value in samples:
        made.add_metric(labels, value)
    return made
