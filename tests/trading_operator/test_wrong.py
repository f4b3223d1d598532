"""Wrong resources, without a cluster: what the definition can say is refused by it; all of them end
in Error with a message, whatever the API server has let through, and can be deleted.
"""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from kubernetes import client
from msgspec.structs import replace

from tests.api.running import Up
from tests.chart.test_crd import check
from tests.trading_operator.api_server import ApiServer, api_server, operator, until
from tests.trading_operator.making import NAMESPACE, RELEASE, made, verdict
from tests.trading_operator.test_handlers import UID as FIRST
from tests.trading_operator.test_handlers import document, finalizers, run, up
from tests.trading_operator.wrong import WRONG, wrong_resource
from trading.embedded.api import load_submitted
from trading.scenario.errors import ScenarioError
from trading.scenario.result import Condition as VerdictCondition
from trading_operator import handlers, reconcile
from trading_operator.cluster import Cluster, ClusterError
from trading_operator.coordinator import Coordinator
from trading_operator.metrics import Metrics
from trading_operator.reconcile import Reconciler
from trading_operator.status import Status, judged, with_condition, write
from trading_operator.step import step

__all__ = ["up"]

UID = f"{FIRST}e"


@pytest.mark.parametrize("name", WRONG)
def test_who_refuses_it(name: str) -> None:
    """The definition as far as its schema can; its rules need a real API server (tests/e2e)."""
    found = wrong_resource(name)
    if WRONG[name].by == "schema":
        with pytest.raises(jsonschema.ValidationError):
            check(found)
    else:
        check(found)
    with pytest.raises(ScenarioError) as caught:
        load_submitted(yaml.safe_dump(found))
    assert WRONG[name].says in str(caught.value)


def test_each_ends_in_error_with_a_message_and_can_be_deleted(up: Up, tmp_path: Path) -> None:
    async def life() -> None:
        async with api_server() as server, operator(server, up, tmp_path):
            for number, name in enumerate(WRONG):
                await server.apply(
                    wrong_resource(name), f"{number:08d}-0000-0000-0000-00000000000e"
                )
            for name in WRONG:
                await end(server, name)
            assert server.policies() == []

    run(life())


async def end(server: ApiServer, name: str) -> None:
    """Wait for its Error, and delete it."""
    await until(f"{name}'s end", lambda: server.status(name).get("verdict"))
    status = server.status(name)
    assert (status["phase"], status["verdict"]) == ("Error", "Error"), (name, status)
    assert len(status["message"]) <= 1024
    assert WRONG[name].says in status["message"] or name == "long-and-wrong"
    check({**wrong_resource("two-kinds"), "status": status})
    await until("its finalizer to go", lambda: not finalizers(server, name))
    await server.delete(name)
    await until(f"{name} to go", lambda: server.scenario(name) is None)


class Answering:
    """A coordinator that knows no run, and answers whoever begins one with ``status``."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.begun = 0
        answering = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._say(404, {"detail": "no such run"})

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                answering.begun += self.path == "/runs"
                self._say(answering.status, {"detail": "it hurts \x1b[31m" + "x" * 3000})

            def _say(self, status: int, body: dict[str, str]) -> None:
                sent = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, format: str, *args: Any) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = {"test-coordinator": f"http://127.0.0.1:{self._server.server_port}"}
        self.credentials = {"chaos_token": "any"}
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> "Answering":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.mark.parametrize("status", [400, 403, 404, 413, 422, 500, 501])
def test_an_answer_that_stays_the_same_ends_it_in_error(tmp_path: Path, status: int) -> None:
    async def life() -> None:
        with Answering(status) as answering:
            async with api_server() as server, operator(server, answering, tmp_path):
                await server.apply(document("hurt"), UID)
                await until("its end", lambda: server.status("hurt").get("verdict"))
                found = server.status("hurt")
                assert found["verdict"] == "Error" and answering.begun == 1
                assert found["message"].startswith("it hurts \\x1b[31m")
                check({**wrong_resource("two-kinds"), "status": found})
                await server.delete("hurt")
                await until("it to go", lambda: server.scenario("hurt") is None)

    run(life())


@pytest.mark.parametrize("status", [401, 429, 502, 503])
def test_a_passing_one_is_told_and_tried_again(tmp_path: Path, status: int) -> None:
    async def life() -> None:
        with Answering(status) as answering:
            async with api_server() as server, operator(server, answering, tmp_path):
                await server.apply(document("waits"), UID)
                await until("its message", lambda: server.status("waits").get("message"))
                assert server.status("waits")["phase"] == "Pending"
                await until("another try", lambda: answering.begun > 1)
                answering.status = 500
                await until("its end", lambda: server.status("waits").get("verdict"))

    run(life())


def test_tries_come_later_and_later(tmp_path: Path) -> None:
    async def tries() -> list[float]:
        with Answering(503) as answering:
            (tmp_path / "token").write_text("any")
            coordinator = Coordinator(answering.url["test-coordinator"], tmp_path / "token")
            async with api_server() as server:
                api = client.ApiClient(client.Configuration(host=server.url))
                cluster = Cluster(api, NAMESPACE, RELEASE)
                asked = Reconciler(cluster, coordinator, lambda *_: None, Metrics())
                pauses = []
                for _ in range(6):
                    await asked.tick(made(), Status())
                    pauses.append(asked.pause)
                answering.status = 409
                await asked.tick(made(), Status())
                pauses.append(asked.pause)
            await coordinator.close()
        return pauses

    assert asyncio.run(tries()) == [4, 8, 16, 30, 30, 30, 2]


def test_an_error_of_the_operator_s_own_ends_it_and_it_can_be_deleted(
    up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first times it may be a passing one; then the resource says so, and nothing is left."""
    right = step

    def wrong(scenario: Any, status: Any, observed: Any, now: float) -> Any:
        if observed.refused:
            return right(scenario, status, observed, now)
        raise KeyError("risk-monitr")

    async def life() -> None:
        async with api_server() as server, operator(server, up, tmp_path):
            await server.apply(document("broken"), "1" + UID[1:])
            await until("the cut", server.policies)
            monkeypatch.setattr(reconcile, "step", wrong)
            await until("its end", lambda: server.status("broken").get("verdict"))
            assert server.status("broken")["verdict"] == "Error"
            assert "KeyError: 'risk-monitr'" in server.status("broken")["message"]
            assert server.policies() == []
            await server.delete("broken")
            await until("it to go", lambda: server.scenario("broken") is None)

    run(life())


def test_one_that_cannot_even_be_told_to_have_ended_can_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: Any) -> Any:
        raise KeyError("whatever is asked")

    monkeypatch.setattr(reconcile, "step", wrong)
    monkeypatch.setattr(reconcile, "_LOOK", 0.1)

    async def life() -> None:
        with Answering(503) as answering:
            async with api_server() as server, operator(server, answering, tmp_path):
                await server.apply(document("mute"), "2" + UID[1:])
                await until("its finalizer", lambda: finalizers(server, "mute"))
                await server.delete("mute")
                await until("it to go", lambda: server.scenario("mute") is None)

    run(life())


def test_one_whose_status_the_api_server_refuses_can_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: Any) -> None:
        raise ClusterError("422 Unprocessable Entity: status.message: Too long")

    monkeypatch.setattr(Cluster, "save", refused)
    monkeypatch.setattr(handlers, "_AGAIN", 0.05)

    async def life() -> None:
        with Answering(503) as answering:
            async with api_server() as server, operator(server, answering, tmp_path):
                await server.apply(document("unsaved"), "3" + UID[1:])
                await until("its finalizer", lambda: finalizers(server, "unsaved"))
                await server.delete("unsaved")
                await until("it to go", lambda: server.scenario("unsaved") is None)

    run(life())


def test_a_status_fits_its_definition_however_long_its_texts_are() -> None:
    long = "\x1b]0;title\x07" + "reason " * 10_000
    found = verdict("Fail")
    recovered = VerdictCondition(
        type="Recovered",
        status="False",
        reason="NotRecovered",
        message=long,
        last_transition_time=1,
    )
    found = replace(
        found,
        reasons=(long,),
        faults=tuple(replace(f, evidence=long, name="cut") for f in found.faults),
        expectations=tuple(replace(e, reason=long, label=long) for e in found.expectations),
        conditions=(recovered,),
    )
    status = with_condition(
        judged(Status(), found, 1, 0), "Complete", "False", "Waiting", long, 1, 0
    )
    written = write(replace(status, message=long))
    check({**wrong_resource("two-kinds"), "status": written})
    assert "\x1b" not in json.dumps(written) and "\\u001b" not in json.dumps(written)
    messages = [condition["message"] for condition in written["conditions"]]
    assert [len(text) for text in messages] == [32768, 32768]
