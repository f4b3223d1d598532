"""docs/signals.md, from the table of signals."""

from pathlib import Path

from trading.telemetry.signals import SIGNALS
from trading.telemetry.spans import SPANS
from trading.topology import SERVICES

_HEAD = """# Signals

Written by `make generate` from `services/trading/telemetry/signals.py`: what the services show at
`/metrics`. Beside these, every service shows `process_*`: CPU, memory, open files, start.

| metric | kind | labels | of | from when on | meaning |
|---|---|---|---|---|---|
"""

_SPANS = """
## Traces

Where `OTEL_EXPORTER_OTLP_ENDPOINT` is set, every service sends its part of an order's life. All
name the trace by the session and the order's id, so that it is one trace in Jaeger: order, fill,
settlement, and the alert that the risk monitor raised when the order was the newest that it knew.
Every request but those for health and metrics is a span too, in its caller's trace where it sends
`traceparent`.

| span | of | what it says |
|---|---|---|
"""


def texts() -> dict[Path, str]:
    rows = []
    for signal in SIGNALS.values():
        of = "all" if len(signal.services) == len(SERVICES) else ", ".join(signal.services)
        labels = ", ".join(signal.labels)
        rows.append(
            f"| `{signal.shown}` | {signal.kind} | {labels} | {of} | {signal.when} |"
            f" {signal.text} |\n"
        )
    spans = [f"| `{name}` | {of} | {text} |\n" for name, (of, text) in SPANS.items()]
    return {Path("docs/signals.md"): _HEAD + "".join(rows) + _SPANS + "".join(spans)}
