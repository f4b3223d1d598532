"""Wrong resources, without a cluster. The CRD's schema refuses those that it can describe. If the
API server lets them through nevertheless, all end in Error with a message and can be deleted.
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
from tests.trading_operator.making import NAMESPACE, RELEASE, sample_scenario, verdict
from tests.trading_operator.test_handlers import UID as FIRST
from tests.trading_operator.test_handlers import document, finalizers, run, up
from tests.trading_operator.wrong import WRONG, wrong_resource
from trading.embedded.api import load_submitted
from trading.scenario.errors import ScenarioError
from trading.scenario.result import Condition as VerdictCondition
from trading.scenario.result import ConditionType, Outcome
from trading_operator import handlers, reconcile
from trading_operator.cluster import Cluster, ClusterError
from trading_operator.coordinator import Coordinator
from trading_operator.metrics import Metrics
from trading_operator.reconcile import Reconciler
from trading_operator.status import Status, with_condition, with_verdict, write_status
from trading_operator.step import step

__all__ = ["up"]

UID = f"{FIRST}e"


@pytest.mark.parametrize("name", WRONG)
def test_who_refuses_it(name: str) -> None:
    """By the CRD's schema only; its rules need a real API server (tests/e2e)."""
    resource = wrong_resource(name)
    if WRONG[name].by == "schema":
        with pytest.raises(jsonschema.ValidationError):
            check(resource)
    else:
        check(resource)
    with pytest.raises(ScenarioError) as caught:
        load_submitted(yaml.safe_dump(resource))
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
    """Wait until a scenario ends in Error, and delete it."""
    await until(f"{name}'s end", lambda: server.status(name).get("verdict"))
    status = server.status(name)
    assert (status["phase"], status["verdict"]) == ("Error", "Error"), (name, status)
    assert len(status["message"]) <= 1024
    assert WRONG[name].says in status["message"] or name == "long-and-wrong"
    check({**wrong_resource("two-kinds"), "status": status})
    await until("its finalizer to go", lambda: not finalizers(server, name))
    await server.delete(name)
    await until(f"{name} to go", lambda: server.scenario(name) is None)


class CoordinatorStub:
    """A coordinator that has no run and responds with ``status`` to each start of one."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.starts = 0
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._respond(404, {"detail": "no such run"})

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                stub.starts += self.path == "/runs"
                self._respond(stub.status, {"detail": "it hurts \x1b[31m" + "x" * 3000})

            def _respond(self, status: int, body: dict[str, str]) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = {"test-coordinator": f"http://127.0.0.1:{self._server.server_port}"}
        self.credentials = {"chaos_token": "any"}
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> "CoordinatorStub":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.mark.parametrize("status", [400, 403, 404, 413, 422, 500, 501])
def test_an_answer_that_stays_the_same_ends_it_in_error(tmp_path: Path, status: int) -> None:
    async def life() -> None:
        with CoordinatorStub(status) as stub:
            async with api_server() as server, operator(server, stub, tmp_path):
                await server.apply(document("hurt"), UID)
                await until("its end", lambda: server.status("hurt").get("verdict"))
                ended = server.status("hurt")
                assert ended["verdict"] == "Error" and stub.starts == 1
                assert ended["message"].startswith("it hurts \\x1b[31m")
                check({**wrong_resource("two-kinds"), "status": ended})
                await server.delete("hurt")
                await until("it to go", lambda: server.scenario("hurt") is None)

    run(life())


@pytest.mark.parametrize("status", [401, 429, 502, 503])
def test_a_passing_one_is_told_and_tried_again(tmp_path: Path, status: int) -> None:
    async def life() -> None:
        with CoordinatorStub(status) as stub:
            async with api_server() as server, operator(server, stub, tmp_path):
                await server.apply(document("waits"), UID)
                await until("its message", lambda: server.status("waits").get("message"))
                assert server.status("waits")["phase"] == "Pending"
                await until("another try", lambda: stub.starts > 1)
                stub.status = 500
                await until("its end", lambda: server.status("waits").get("verdict"))

    run(life())


def test_tries_come_later_and_later(tmp_path: Path) -> None:
    async def tries() -> list[float]:
        with CoordinatorStub(503) as stub:
            (tmp_path / "token").write_text("any")
            coordinator = Coordinator(stub.url["test-coordinator"], tmp_path / "token")
            async with api_server() as server:
                api = client.ApiClient(client.Configuration(host=server.url))
                cluster = Cluster(api, NAMESPACE, RELEASE)
                reconciler = Reconciler(cluster, coordinator, lambda *_: None, Metrics())
                pauses = []
                for _ in range(6):
                    await reconciler.reconcile(sample_scenario(), Status())
                    pauses.append(reconciler.pause)
                stub.status = 409
                await reconciler.reconcile(sample_scenario(), Status())
                pauses.append(reconciler.pause)
            await coordinator.close()
        return pauses

    assert asyncio.run(tries()) == [4, 8, 16, 30, 30, 30, 2]


def test_an_error_of_the_operator_s_own_ends_it_and_it_can_be_deleted(
    up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At first it may be temporary; then the resource ends in Error, and no policy is left."""
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


async def applied_and_deleted(tmp_path: Path, name: str, uid: str) -> None:
    """Apply a resource while the coordinator is away, and delete it."""
    with CoordinatorStub(503) as stub:
        async with api_server() as server, operator(server, stub, tmp_path):
            await server.apply(document(name), uid)
            await until("its finalizer", lambda: finalizers(server, name))
            await server.delete(name)
            await until("it to go", lambda: server.scenario(name) is None)


def test_one_that_cannot_even_be_told_to_have_ended_can_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: Any) -> Any:
        raise KeyError("whatever is asked")

    monkeypatch.setattr(reconcile, "step", wrong)
    monkeypatch.setattr(reconcile, "_POLL_INTERVAL", 0.1)

    run(applied_and_deleted(tmp_path, "mute", "2" + UID[1:]))


def test_one_whose_status_the_api_server_refuses_can_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: Any) -> None:
        raise ClusterError("422 Unprocessable Entity: status.message: Too long")

    monkeypatch.setattr(Cluster, "save_status", refused)
    monkeypatch.setattr(handlers, "_RETRY_DELAY", 0.05)

    run(applied_and_deleted(tmp_path, "unsaved", "3" + UID[1:]))


def test_a_status_fits_its_definition_however_long_its_texts_are() -> None:
    long = "\x1b]0;title\x07" + "reason " * 10_000
    judged = verdict(Outcome.FAIL)
    recovered = VerdictCondition(
        type=ConditionType.RECOVERED,
        status="False",
        reason="NotRecovered",
        message=long,
        last_transition_time=1,
    )
    judged = replace(
        judged,
        reasons=(long,),
        faults=tuple(replace(f, evidence=long, name="cut") for f in judged.faults),
        expectations=tuple(replace(e, reason=long, label=long) for e in judged.expectations),
        conditions=(recovered,),
    )
    status = with_condition(
        with_verdict(Status(), judged, 1, 0), "Complete", "False", "Waiting", long, 1, 0
    )
    written = write_status(replace(status, message=long))
    check({**wrong_resource("two-kinds"), "status": written})
    assert "\x1b" not in json.dumps(written) and "\\u001b" not in json.dumps(written)
    messages = [condition["message"] for condition in written["conditions"]]
    assert [len(text) for text in messages] == [32768, 32768]
