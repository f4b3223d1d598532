"""Generate docs/reference/signals.md from the table of signals."""

from pathlib import Path

from trading.telemetry.signals import SIGNALS
from trading.telemetry.spans import SPANS
from trading.topology import SERVICES

_HEAD = """# Signals

This page is generated from `trading.telemetry.signals`: the metrics that the services show at
`/metrics`. Every service also shows `process_*`: CPU, memory, open files, start time.

| metric | kind | labels | of | from when on | meaning |
|---|---|---|---|---|---|
"""

_SPANS = """
## Traces

If `OTEL_EXPORTER_OTLP_ENDPOINT` is set, every service sends its part of an order's life. All of
them name the trace by the session and the order's id, so Jaeger shows one trace: order, fill,
settlement, and the alert that the risk monitor raised while this order was the newest one it knew.
Every request except those for health and metrics is a span, too. It belongs to the caller's trace
if the caller sends `traceparent`.

| span | of | what it says |
|---|---|---|
"""


def texts() -> dict[Path, str]:
    """Return the text of each page, by its path within the project."""
    rows = []
    for signal in SIGNALS.values():
        of = "all" if len(signal.services) == len(SERVICES) else ", ".join(signal.services)
        labels = ", ".join(signal.labels)
        rows.append(
            f"| `{signal.shown}` | {signal.kind} | {labels} | {of} | {signal.when} |"
            f" {signal.text} |\n"
        )
    spans = [f"| `{name}` | {of} | {text} |\n" for name, (of, text) in SPANS.items()]
    return {Path("docs/reference/signals.md"): _HEAD + "".join(rows) + _SPANS + "".join(spans)}
