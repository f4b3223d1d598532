"""Metric families by the table: name, text and labels are there, values come from a service."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from trading.telemetry.signals import COUNTER, GAUGE, SIGNALS

Sample = tuple[tuple[str, ...], float]


def gauge(name: str, *samples: float) -> GaugeMetricFamily:
    """One without labels, with its value. Raises KeyError where the table has none."""
    return gauges(name, [((), value) for value in samples])


def gauges(name: str, samples: Iterable[Sample]) -> GaugeMetricFamily:
    """``samples``: label values in the table's order, and the value."""
    signal = SIGNALS[name]
    if signal.kind != GAUGE:
        raise KeyError(f"{name} is a {signal.kind}")
    family = GaugeMetricFamily(name, signal.text, labels=signal.labels)
    for labels, value in samples:
        family.add_metric(labels, value)
    return family


def counters(name: str, samples: Iterable[Sample]) -> CounterMetricFamily:
    """As :func:`gauges`, of what only grows."""
    signal = SIGNALS[name]
    if signal.kind != COUNTER:
        raise KeyError(f"{name} is a {signal.kind}")
    family = CounterMetricFamily(name, signal.text, labels=signal.labels)
    for labels, value in samples:
        family.add_metric(labels, value)
    return family
