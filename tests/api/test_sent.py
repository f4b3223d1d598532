"""Hostile requests: none causes a 500, stops the services, or opens a file."""

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets.sync.client as ws

from tests.api.running import Up
from trading.api.test_coordinator import scenarios
from trading.api.test_coordinator.scenarios import Scenarios
from trading.embedded.library import shipped
from trading.hosting.sqlite import SqliteStore
from trading.topology import EXCHANGE, RISK_MONITOR, SERVICES

HOSTILE = {
    "deep": b"[" * 100_000,
    "brackets": b"[" * 900 + b"]" * 900,
    "deep in a field": b'{"seed": %s%s, "by": %s%s}'
    % (b"[" * 900, b"]" * 900, b"[" * 900, b"]" * 900),
    "3,000 brackets as a seed": b'{"scenario": "market-crash", "seed": %s}'
    % (b"[" * 3000 + b"]" * 3000),
    "infinite": b'{"seed": 1e400, "by": NaN, "reason": -Infinity}',
    "half a pair": b'{"\\ud800": 1, "scenario": "\\ud800", "by": "\\udfff", "text": "\\ud800"}',
    "long number": b'{"seed": %s}' % (b"1" * 5000),
    "no text": b"\xff\xfe\x00",
    "nothing": b"",
}


def changing(up: Up, service: str) -> list[tuple[str, str]]:
    """Return method and path of all operations that take a body. The exchange's orders
    take none.
    """
    paths = httpx.get(f"{up.url[service]}/openapi.json").json()["paths"]
    return [
        (method.upper(), path.replace("{", "").replace("}", ""))
        for path, methods in paths.items()
        for method in methods
        if method in ("post", "put", "patch", "delete")
    ]


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("service", SERVICES)
def test_no_body_makes_a_500(up: Up, service: str, body: bytes) -> None:
    token = up.credentials["risk_token" if service == RISK_MONITOR else "chaos_token"]
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    for method, path in changing(up, service):
        url = up.url[service] + path
        answer = httpx.request(method, url, content=body, headers=headers, timeout=20)
        assert answer.status_code < 500, (method, path, answer.text)
        # A body is read only after authentication. The exchange authenticates by keys and
        # signatures, and so refuses all of them.
        refused = answer.status_code in (401, 429)
        assert not refused or service == EXCHANGE, (method, path, answer.text)
        assert len(answer.content) < 20_000


@pytest.mark.parametrize("path", ["/ws", "/ws-api/v3"])
def test_a_websocket_message_as_deep_as_it_can_be_is_answered(up: Up, path: str) -> None:
    url = up.url[EXCHANGE].replace("http", "ws") + path
    with ws.connect(url, proxy=None) as socket:
        for text in ("[" * 60_000, '{"a":' * 10_000, '{"id": 1, "params": %s}' % ("[" * 30_000)):
            socket.send(text)
            assert "nvalid JSON" in str(socket.recv(timeout=10))


def crash(**more: Any) -> dict[str, Any]:
    return {"scenario": "market-crash", **more}


LONGEST = "\n".join(f"k{n}: v" for n in range(18_000))


def sent_at_once(up: Up, body: dict[str, Any]) -> int:
    """Send the same body ten times at once, which must be refused, and return how often another
    service answered meanwhile. All seven services are in one process.
    """
    answers: list[int] = []

    def send() -> None:
        with up.coordinator() as coordinator:
            answers.append(coordinator.post("/runs", json=body).status_code)

    senders = [threading.Thread(target=send) for _ in range(10)]
    for sender in senders:
        sender.start()
    answered = 0
    with httpx.Client(base_url=up.url[EXCHANGE], timeout=20) as exchange:
        while any(sender.is_alive() for sender in senders):
            answered += exchange.get("/health").status_code == 200
    assert answers == [422] * 10
    return answered


@pytest.mark.parametrize(
    "body",
    [
        {"text": "[" * 100_000},
        crash(overrides={"expect": "[&a [x, x], *a, *a]"}),
        crash(overrides={"seed": "[" * 3000}),
    ],
    ids=["brackets", "aliases", "a deep seed"],
)
def test_what_is_too_much_is_refused(up: Up, body: dict[str, Any]) -> None:
    sent_at_once(up, body)


def test_while_the_longest_is_read_everything_else_is_answered(up: Up) -> None:
    """If it were read in the event loop, there would be only one answer between two of the
    requests.
    """
    assert sent_at_once(up, {"text": "[" + "a," * 99_000 + "]"}) > 40


@pytest.mark.parametrize(
    "body",
    [
        crash(overrides={"market": "{source: replay, replay: {file: SECRET, asset: BTC}}"}),
        crash(overrides={"market.source": "replay", "market.replay.file": "SECRET"}),
        crash(
            overrides={
                "faults.crash": "{name: crash, duration: 5m,"
                " depeg: {asset: USDT, series: {file: SECRET}}}"
            }
        ),
        {"scenario": "my-own", "overrides": {"market.replay": "{file: SECRET}"}},
    ],
    ids=["whole", "by field", "series", "own"],
)
def test_no_override_opens_a_file(up: Up, tmp_path: Path, body: dict[str, Any]) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the-first-line\n")
    own = Path("scenarios/market-crash.yaml").read_text().replace("market-crash", "my-own")
    if body["scenario"] == "my-own":
        body["overrides"]["market.source"] = "replay"
    overrides = {k: v.replace("SECRET", str(secret)) for k, v in body["overrides"].items()}
    with up.coordinator() as coordinator:
        headers = {"content-type": "application/yaml"}
        assert coordinator.post("/scenarios", content=own, headers=headers).is_success
        answer = coordinator.post("/runs", json={**body, "overrides": overrides})
    assert answer.status_code == 422, answer.text
    assert "cannot read files" in answer.text and "the-first-line" not in answer.text


def test_a_name_is_no_file_of_the_working_directory(up: Up) -> None:
    """``trading run market-crash`` may mean a file of that name here; a request never does."""
    planted = up.data.parent / "market-crash"
    planted.write_text("the-first-line: [", encoding="utf-8")
    try:
        with up.coordinator() as coordinator:
            answer = coordinator.post("/runs", json=crash(overrides={"seed": "-1"}))
            listed = coordinator.get("/scenarios")
    finally:
        planted.unlink()
    assert answer.status_code == 422 and "seed" in answer.text, answer.text
    assert "the-first-line" not in answer.text and listed.status_code == 200


def test_a_kept_one_that_this_version_refuses_is_listed_with_its_reason(up: Up) -> None:
    """One invalid scenario used to make the whole listing fail."""
    wrong = (
        "apiVersion: chaos.trading/v1alpha1\nkind: ChaosScenario\nmetadata: {name: old}\nspec: {}\n"
    )
    with sqlite3.connect(next(up.data.glob("*.sqlite"))) as database:
        database.execute(
            "INSERT INTO document (kind, name, body) VALUES ('scenario', 'old', ?)",
            (wrong.encode(),),
        )
    with up.coordinator() as coordinator:
        scenarios_by_name = {
            scenario["name"]: scenario for scenario in coordinator.get("/scenarios").json()
        }
    assert "spec.faults" in scenarios_by_name["old"]["problem"]
    assert scenarios_by_name["market-crash"]["seed"]


def test_scenarios_are_compiled_once_and_again_where_their_text_is_another(tmp_path: Path) -> None:
    text = Path("scenarios/market-crash.yaml").read_text().replace("market-crash", "my-own")

    async def check() -> None:
        store = SqliteStore(tmp_path / "kept.sqlite")
        try:
            library = Scenarios(store)
            await library.save(text)
            first, second = await library.list_all(), await library.list_all()
            assert len(first) == len(shipped()) + 1
            assert [id(scenario) for scenario in first] == [id(scenario) for scenario in second]
            await library.save(text.replace("seed: 7", "seed: 8"))
            third = await library.list_all()
            assert third[:-1] == first[:-1] and third[-1]["seed"] == 8 != first[-1]["seed"]
        finally:
            store.close()

    asyncio.run(check())


def test_only_so_many_scenarios_of_one_s_own_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scenario that exists can be replaced when the limit is reached."""
    monkeypatch.setattr(scenarios, "MAX_SAVED", 2)
    text = Path("scenarios/market-crash.yaml").read_text()

    async def check() -> None:
        store = SqliteStore(tmp_path / "kept.sqlite")
        try:
            library = Scenarios(store)
            for name in ("first", "second", "first"):
                await library.save(text.replace("market-crash", name))
            with pytest.raises(scenarios.NotSaved, match="2 scenarios of your own are kept"):
                await library.save(text.replace("market-crash", "third"))
            assert [scenario["name"] for scenario in await library.list_all()][-2:] == [
                "first",
                "second",
            ]
        finally:
            store.close()

    asyncio.run(check())
