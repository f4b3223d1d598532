"""An order's life is one trace, although every service exports its own spans only."""

import time
from pathlib import Path

import httpx

from tests.api.running import Up, wait_for
from tests.observability.conftest import Watched
from tests.observability.receiver import Received, Receiver
from trading.telemetry.spans import (
    ALERT,
    EXECUTION,
    FAULT,
    FILL,
    ORDER,
    RUN,
    SETTLEMENT,
    SPANS,
    root_of,
    span_of,
    trace_of,
)
from trading.telemetry.trace_builders import TRACE_BUILDERS, CustodianTraces, RiskMonitorTraces
from trading.universe import default_universe

STEPS = {ORDER, EXECUTION, FILL, SETTLEMENT, ALERT}


def test_a_trace_goes_from_the_order_to_the_alert(watched: Watched) -> None:
    whole = [t for t in watched.traces.values() if {span.name for span in t} >= STEPS]
    assert whole, "no trace has all steps"
    for trace in whole:
        by = {name: [s for s in trace if s.name == name] for name in STEPS}
        (order,) = by[ORDER]
        assert order.parent == "" and order.service == "trading-engine"
        fills = {fill.id for fill in by[FILL]}
        assert all(fill.parent == order.id for fill in by[FILL])
        assert all(settlement.parent in fills for settlement in by[SETTLEMENT])
        assert all(alert.parent in fills | {order.id} for alert in by[ALERT])
        assert {s.service for s in by[SETTLEMENT]} == {"custodian"}
        assert {s.service for s in by[ALERT]} == {"risk-monitor"}


def test_every_parent_is_there(watched: Watched) -> None:
    """Spans that were still open when the traces were read are excepted."""
    order_traces = [t for t in watched.traces.values() if any(s.name == ORDER for s in t)]
    assert len(order_traces) > 100
    for trace in order_traces:
        ids = {span.id for span in trace}
        assert len(ids) == len(trace), "two spans of one id"
        assert {span.parent for span in trace} - {""} <= ids


def test_spans_are_on_the_wall_s_clock(watched: Watched) -> None:
    """Also at 60 times the speed, because people search for traces by wall time."""
    for trace in watched.traces.values():
        for span in trace:
            assert span.start <= span.end
            assert watched.started - 5 < span.start / 1e9
            assert span.end / 1e9 < watched.ended + 5


def test_a_run_is_a_trace_with_its_faults(watched: Watched) -> None:
    (trace,) = [t for t in watched.traces.values() if any(s.name == RUN for s in t)]
    (run,) = [span for span in trace if span.name == RUN]
    (fault,) = [span for span in trace if span.name == FAULT]
    assert fault.parent == run.id and fault.attributes["fault.name"] == "crash"
    assert run.start <= fault.start <= fault.end <= run.end


def test_nothing_but_the_table_s_names_and_requests(watched: Watched) -> None:
    names = {span.name for trace in watched.traces.values() for span in trace}
    requests = {name for name in names if name.startswith(("GET ", "POST "))}
    assert "POST /runs" in requests
    assert names - requests == SPANS.keys()


def test_a_request_goes_on_with_its_caller_s_trace(tmp_path: Path) -> None:
    receiver = Receiver()
    up = Up(tmp_path / "data", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    try:
        headers = {"traceparent": f"00-{trace}-{parent}-01"}
        for path in ("/api/v3/time", "/health"):
            httpx.get(up.url["exchange"] + path, headers=headers)
        span: Received = wait_for("the span", lambda: receiver.traces().get(trace))[0]
    finally:
        up.stop()
        receiver.stop()
    assert (span.name, span.parent, span.service) == ("GET /api/v3/time", parent, "exchange")
    assert span.attributes["http.response.status_code"] == 200
    assert abs(time.time() - span.end / 1e9) < 60
    assert len(receiver.traces()[trace]) == 1, "health is no request"


def test_a_collector_that_is_not_there_keeps_nobody_waiting(tmp_path: Path) -> None:
    up = Up(tmp_path / "data", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    try:
        assert httpx.get(up.url["exchange"] + "/api/v3/time").status_code == 200
        assert up.exchange.signed("GET", "account").status_code == 200
    finally:
        code, output = up.stop()
    assert (code, output.splitlines()[-1]) == (0, "stopped; everything is kept")
    assert "Traceback" not in (tmp_path / "data.log").read_text()


def test_only_the_share_that_is_asked_for_is_sent(tmp_path: Path) -> None:
    receiver = Receiver()
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_TRACES_SAMPLER_ARG": "0"}
    up = Up(tmp_path / "data", **environment)
    try:
        httpx.get(up.url["exchange"] + "/api/v3/time")
    finally:
        up.stop()
        receiver.stop()
    assert receiver.spans == []


def test_services_name_a_trace_alike_without_a_word() -> None:
    universe = default_universe()
    names = {builder("session", universe).order(7) for builder in TRACE_BUILDERS.values()}
    assert len(names) == 1
    assert CustodianTraces("another", universe).order(7) not in names
    trace = trace_of("session", "order", 7)
    assert RiskMonitorTraces("session", universe).order(7) == trace
    assert len({trace, root_of(trace), span_of(trace, "fill", 1), span_of(trace, "fill", 2)}) == 4
