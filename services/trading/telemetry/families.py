"""Builds metric families: name, help text and labels come from the table, values from a service."""

from collections.abc import Iterable
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from trading.telemetry.signals import COUNTER, GAUGE, SIGNALS

#: Label values and the value.
Sample = tuple[tuple[str, ...], float]
_Family = TypeVar("_Family", GaugeMetricFamily, CounterMetricFamily)


def gauge(name: str, *samples: float) -> GaugeMetricFamily:
    """Return a gauge without labels. Raises KeyError if the table has no such gauge."""
    return gauges(name, [((), value) for value in samples])


def gauges(name: str, samples: Iterable[Sample]) -> GaugeMetricFamily:
    """Return a gauge with ``samples``, whose label values are in the order of the table.

    Raises KeyError if the table has no such gauge.
    """
    return _build_family(GaugeMetricFamily, GAUGE, name, samples)


def counters(name: str, samples: Iterable[Sample]) -> CounterMetricFamily:
    """Return a counter with ``samples``, as :func:`gauges` does."""
    return _build_family(CounterMetricFamily, COUNTER, name, samples)


def _build_family(
    family: type[_Family], kind: str, name: str, samples: Iterable[Sample]
) -> _Family:
    signal = SIGNALS[name]
    if signal.kind != kind:
        raise KeyError(f"{name} is a {signal.kind}")
    metric_family = family(name, signal.text, labels=signal.labels)
    for labels, value in samples:
        metric_family.add_metric(labels, value)
    return metric_family
