"""The risk monitor's API: the event stream, silences, refused requests, and its documentation."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx_sse import EventSource

from tests.api.running import Up, wait_for

pytestmark = pytest.mark.timeout(300)

Event = tuple[str, dict[str, Any]]


@contextmanager
def events(up: Up, last: str = "") -> Iterator[Iterator[Event]]:
    """Open the event stream, after the event `last` if it is given; yields pairs of id and data."""
    headers = {"Last-Event-ID": last} if last else {}
    url = up.url["risk-monitor"] + "/events"
    with httpx.stream("GET", url, headers=headers, timeout=30) as answer:
        yield _events(answer)


def _events(answer: httpx.Response) -> Iterator[Event]:
    return ((e.id, e.json()) for e in EventSource(answer).iter_sse() if e.data)


def get(up: Up, path: str) -> Any:
    return httpx.get(up.url["risk-monitor"] + path).json()


def post(up: Up, path: str, **body: object) -> httpx.Response:
    return httpx.post(up.url["risk-monitor"] + path, json=body, headers=up.operator)


def alert(up: Up, stream: Iterator[Event]) -> tuple[str, dict[str, Any], float]:
    """Make the fat-finger rule fire for the first time. Return the event's id, the alert, and the
    seconds from the order's answer to the event.
    """
    resting = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1"}
    up.exchange.order(symbol="BTCUSDT", price="60000", **resting)
    sent = time.monotonic()
    for number, event in stream:
        for fired in event["alerts"]:
            if fired["rule"] == "fat-finger" and fired["state"] == "firing" and not event["full"]:
                return number, fired, time.monotonic() - sent
    raise AssertionError("the stream ended")


def test_an_alert_is_told_at_once_and_can_be_caught_up_on(up: Up) -> None:
    with events(up) as stream:
        first, state = next(stream)
        assert state["full"]
        assert {"portfolio", "exposures", "health", "breaker", "silences"} <= state.keys()
        number, fired, seconds = alert(up, stream)
    # It takes milliseconds; the limit only allows for a busy machine.
    assert seconds < 5
    assert get(up, f"/api/alerts/{fired['alert_id']}")["rule"] == "fat-finger"

    with events(up, first) as stream:
        missed, event = next(stream)
        assert not event["full"]
        assert missed == number
        assert fired in event["alerts"]
    with events(up, number) as stream:
        _, event = next(stream)
        assert not event["full"]
        assert event["alerts"] == []
        assert event["portfolio"]["known"]
    post(up, f"/api/alerts/{fired['alert_id']}/acknowledge", by="desk-1")


@pytest.mark.parametrize("last", ["7-1", "1-999999999999", "nonsense", "1-²"])
def test_an_unknown_last_event_gets_the_full_state(up: Up, last: str) -> None:
    url = up.url["risk-monitor"] + "/events"
    headers = {"Last-Event-ID": last.encode()}
    with httpx.stream("GET", url, headers=headers, timeout=30) as answer:  # type: ignore[arg-type]
        assert next(_events(answer))[1]["full"]


def test_a_restart_forgets_no_alert(tmp_path: Path) -> None:
    up = Up(tmp_path / "data")
    try:
        wait_for("the portfolio", lambda: get(up, "/api/portfolio")["known"])
        with events(up) as stream:
            first, _ = next(stream)
            _, fired, _ = alert(up, stream)
        up.stop()
        up.start()
        with events(up, first) as stream:
            _, event = next(stream)
        assert event["full"]
        assert fired["alert_id"] in [a["alert_id"] for a in event["alerts"]]
    finally:
        up.stop()


def test_figures_are_gathered_when_time_runs_fast(tmp_path: Path) -> None:
    """There are 120 reports in a second of wall time; a stream gets at most 20 of them, always the
    newest.
    """
    up = Up(tmp_path / "data", SIM_SPEED="120")
    try:
        wait_for("the portfolio", lambda: get(up, "/api/portfolio")["known"])
        times = []
        with events(up) as stream:
            for _, event in stream:
                if "portfolio" in event:
                    times.append(datetime.fromisoformat(event["portfolio"]["time"]))
                if len(times) == 40:
                    break
        assert times == sorted(set(times))
        assert (times[-1] - times[0]).total_seconds() / (len(times) - 1) > 1.5
    finally:
        up.stop()


def test_silences(up: Up) -> None:
    silence = post(
        up, "/api/silences", by="desk-1", rule="order-rate", subject="firm-mm", seconds=60
    )
    assert silence.status_code == 201
    assert get(up, "/api/silences") == [silence.json()]
    with events(up) as stream:
        assert next(stream)[1]["silences"] == [silence.json()]
        assert post(up, "/api/silences/order-rate/firm-mm/end", by="desk-2").json() == []
        for _, event in stream:
            if "silences" in event:
                assert event["silences"] == []
                break
    assert post(up, "/api/silences/order-rate/firm-mm/end", by="desk-2").status_code == 404


def test_a_killed_account_is_shown_and_what_it_holds_adds_up(up: Up) -> None:
    large = {"symbol": "ETHUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    if not _killed(up):
        up.exchange.order(quantity="20", price="3300", **large)
    account = wait_for("the kill switch", lambda: _killed(up))
    assert account["reason"].startswith("fat-finger on firm-api")
    portfolio = get(up, "/api/portfolio")
    worth = sum(float(a["equity"]) for a in portfolio["accounts"])
    assert worth == pytest.approx(float(portfolio["equity"]), abs=1)
    gained = sum(float(a["pnl"]) for a in portfolio["accounts"])
    assert gained == pytest.approx(float(portfolio["pnl"]), abs=1)
    text = httpx.get(up.url["risk-monitor"] + "/metrics").text
    assert 'risk_monitor_account_killed{account="firm-api"} 1.0' in text
    post(up, "/api/breaker/reset", by="desk-1", reason="done")
    wait_for("trading again", lambda: not _killed(up))


def _killed(up: Up) -> dict[str, Any] | None:
    rows = get(up, "/api/portfolio")["accounts"]
    return next((r for r in rows if r["killed"] and r["confirmed"]), None)


def test_exposures_know_their_limits(up: Up) -> None:
    rows = {(r["rule"], r["subject"]): r for r in get(up, "/api/exposures")}
    drawdown = rows["drawdown", "portfolio"]
    assert (drawdown["limit"], drawdown["hard_limit"]) == ("2.00 %", "4.00 %")
    assert {s for r, s in rows if r == "net-exposure"} == {
        a["account"] for a in get(up, "/api/portfolio")["accounts"]
    }
    for row in rows.values():
        assert row["used_percent"] <= 100 or row["status"].startswith("over")


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("/api/silences", {"by": "x", "rule": "nope", "seconds": 1}, 404, "GET /api/rules"),
        (
            "/api/silences",
            {"by": "x", "rule": "drawdown", "subject": "BTC", "seconds": 1},
            404,
            "drawdown is about portfolio",
        ),
        ("/api/silences", {"by": "x", "rule": "drawdown", "seconds": 0}, 422, "seconds: "),
        ("/api/silences", {"by": "x\n", "rule": "drawdown", "seconds": 1}, 422, "by: "),
        ("/api/breaker/trip", {"by": "x", "reason": "r" * 201}, 422, "reason: "),
        ("/api/breaker/trip", {"by": "x", "reason": "r", "state": "ACTIVE"}, 422, "state: "),
        ("/api/breaker/reset", {"by": "", "reason": "r"}, 422, "by: "),
        ("/api/alerts/none/x/1/acknowledge", {"by": "x"}, 404, "GET /api/alerts"),
        (f"/api/alerts/{'a' * 300}/acknowledge", {"by": "x"}, 422, "alert_id: "),
    ],
)
def test_refusals_have_one_form(
    up: Up, path: str, body: dict[str, Any], status: int, text: str
) -> None:
    answer = post(up, path, **body)
    assert answer.status_code == status
    assert list(answer.json()) == ["detail"]
    assert text in answer.json()["detail"]


def test_everything_in_the_docs_has_an_example(up: Up) -> None:
    api = get(up, "/openapi.json")
    checked = 0
    for path, operations in api["paths"].items():
        if not path.startswith(("/api/", "/events")):
            continue
        for operation in operations.values():
            bodies = [operation.get("requestBody"), *operation["responses"].values()]
            for body in filter(None, bodies):
                for media in body["content"].values():
                    assert _example(api, media), (path, media)
                    checked += 1
            for parameter in operation.get("parameters", []):
                schema = parameter["schema"]
                assert _example(api, schema) or "default" in schema, (path, parameter)
    assert checked > 30


def _example(api: dict[str, Any], schema: dict[str, Any]) -> bool:
    """Return whether a schema has an example, or all its parts have."""
    if "$ref" in schema:
        target = api
        for name in schema["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        schema = target
    if schema.get("example") or schema.get("examples") or "default" in schema or "enum" in schema:
        return True
    if "schema" in schema:
        return _example(api, schema["schema"])
    if "items" in schema:
        return _example(api, schema["items"])
    if "anyOf" in schema:
        return any(_example(api, choice) for choice in schema["anyOf"])
    parts = schema.get("properties", {})
    return bool(parts) and all(_example(api, part) for part in parts.values())
