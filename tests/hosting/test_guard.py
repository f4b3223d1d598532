"""Limits, ids, headers and redaction around every request: a real server, and raw sockets."""

import asyncio
import io
import json
import logging
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import pytest
import uvicorn
import websockets.sync.client as ws
from fastapi import FastAPI, Request, WebSocket
from pydantic import BaseModel, SecretStr
from starlette.responses import StreamingResponse
from websockets.exceptions import ConnectionClosed

from tests.api.running import wait_for
from trading.hosting import guard
from trading.hosting.guard import RequestGuard
from trading.hosting.http_protocols import HeaderTimeoutProtocol
from trading.hosting.logs import JsonFormatter, request_id, secrets_of, trace_id

TRACE = "0af7651916cd43dd8448eb211c80319c"


class ShortWire(HeaderTimeoutProtocol):
    head_timeout: ClassVar[float] = 0.5  # type: ignore[misc]


def make_app() -> FastAPI:
    app = FastAPI()
    app.add_middleware(RequestGuard, service="tested", body_time=0.5, answer_time=1.0)

    @app.post("/echo")
    async def echo(request: Request) -> dict[str, int]:
        return {"length": len(await request.body())}

    @app.post("/typed")
    async def typed(values: dict[str, str]) -> dict[str, str]:
        return values

    @app.get("/ids")
    async def ids() -> dict[str, str]:
        logging.getLogger("tested").warning("here")
        return {"request": request_id.get(), "trace": trace_id.get()}

    @app.get("/hangs")
    async def hangs() -> dict[str, str]:
        await asyncio.Event().wait()
        return {}

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def lines() -> AsyncIterator[bytes]:
            yield b"first\n"
            # Longer than any answer may take to begin.
            await asyncio.sleep(1.5)
            yield b"last\n"

        return StreamingResponse(lines())

    @app.websocket("/ws")
    async def socket_(socket: WebSocket) -> None:
        await socket.accept()
        while True:
            await socket.send_text(str(len(await socket.receive_text())))

    return app


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        make_app(), log_config=None, access_log=False, http=ShortWire, timeout_keep_alive=60
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def line(port: int) -> Iterator["Line"]:
    opened = Line(port)
    yield opened
    opened.close()


class Line:
    """A connection on which bytes are sent as they are."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._file = self.socket.makefile("rb")

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def send(self, text: str) -> None:
        self.socket.sendall(text.replace("\n", "\r\n").encode())

    def head(self) -> tuple[int, dict[str, str]]:
        status = int(self._file.readline().split()[1])
        headers = {}
        while pair := self._file.readline().strip().decode():
            name, _, value = pair.partition(": ")
            headers[name.lower()] = value
        return status, headers

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        status, headers = self.head()
        return status, headers, self._file.read(int(headers["content-length"]))

    def rest(self) -> bytes:
        """Return everything until the server closes the connection."""
        return self._file.read()


def get(line: Line, path: str, **headers: str) -> tuple[int, dict[str, str], Any]:
    lines = "".join(f"{k.replace('_', '-')}: {v}\n" for k, v in headers.items())
    line.send(f"GET {path} HTTP/1.1\nhost: x\n{lines}\n")
    status, response_headers, body = line.answer()
    return status, response_headers, json.loads(body)


@pytest.mark.parametrize("begun", ["", "12"])
def test_a_body_that_trickles_in_is_cut_off(line: Line, begun: str) -> None:
    line.send(f"POST /echo HTTP/1.1\nhost: x\ncontent-length: 10\n\n{begun}")
    status, headers, body = line.answer()
    assert (status, headers["connection"]) == (408, "close")
    assert "did not arrive" in json.loads(body)["detail"]
    assert line.rest() == b""


def test_a_body_in_two_parts_is_taken(line: Line) -> None:
    line.send("POST /echo HTTP/1.1\nhost: x\ncontent-length: 4\n\n12")
    line.send("34")
    assert line.answer()[2] == b'{"length":4}'


def test_a_handler_that_hangs_is_answered(line: Line) -> None:
    status, headers, body = get(line, "/hangs")
    assert status == 504
    assert "may have happened" in body["detail"]
    assert headers["x-request-id"]


def test_a_stream_may_take_longer(line: Line) -> None:
    line.send("GET /stream HTTP/1.1\nhost: x\nconnection: close\n\n")
    assert line.head()[0] == 200
    assert b"first" in (rest := line.rest())
    assert b"last" in rest


def test_too_large_a_body_is_refused(line: Line) -> None:
    size = guard.MAX_BODY + 1
    line.send(f"POST /echo HTTP/1.1\nhost: x\ncontent-length: {size}\n\n" + "x" * size)
    assert line.answer()[0] == 413


def test_too_large_a_body_that_does_not_say_so_is_refused(line: Line) -> None:
    chunk = "8000\n" + "x" * 0x8000 + "\n"
    line.send("POST /echo HTTP/1.1\nhost: x\ntransfer-encoding: chunked\n\n" + chunk * 9 + "0\n\n")
    assert line.answer()[0] == 413


def test_too_many_headers_are_refused(line: Line) -> None:
    many = {f"x-{n}": "1" for n in range(guard.MAX_HEADERS)}
    assert get(line, "/ids", **many)[0] == 431


def test_too_large_a_header_is_refused(line: Line) -> None:
    assert get(line, "/ids", large="x" * guard.MAX_HEADER_BYTES)[0] == 431


def test_a_header_without_end_is_refused_before_it_fills_the_memory(line: Line) -> None:
    line.send("GET /ids HTTP/1.1\nlarge: ")
    with pytest.raises(OSError, match=r"reset|Broken pipe"):
        for _ in range(1000):
            line.send("x" * 10_000)
        raise AssertionError("10 MB of a header were taken")


def test_a_head_that_does_not_end_is_cut_off(line: Line) -> None:
    line.send("GET /ids HTTP/1.1\nhost: x\n")
    assert line.head()[0] == 408
    assert line.rest() == b""


def test_neither_is_a_second_one_waited_for(line: Line) -> None:
    assert get(line, "/ids")[0] == 200
    line.send("GET /ids HTTP/1.1\nhost: x\n")
    assert line.head()[0] == 408


def test_a_connection_without_a_request_is_closed(line: Line) -> None:
    assert line.head()[0] == 408


def test_too_large_a_websocket_message_ends_the_connection(port: int) -> None:
    with ws.connect(f"ws://127.0.0.1:{port}/ws", max_size=None) as connection:
        connection.send("x" * guard.MAX_MESSAGE)
        assert connection.recv() == str(guard.MAX_MESSAGE)
        connection.send("x" * (guard.MAX_MESSAGE + 1))
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_ids_are_taken_over_and_made(line: Line) -> None:
    sent_id = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"
    parent = f"00-{TRACE}-b7ad6b7169203331-01"
    _, headers, body = get(line, "/ids", x_request_id=sent_id, traceparent=parent)
    assert headers["x-request-id"] == sent_id
    assert body == {"request": sent_id, "trace": TRACE}
    _, headers, body = get(line, "/ids")
    assert (len(headers["x-request-id"]), body["trace"]) == (16, "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x_request_id", "a b"),
        ("x_request_id", "x" * 65),
        ("x_request_id", '{"forged":1}'),
        ("traceparent", TRACE),
        ("traceparent", f"00-{'0' * 32}-b7ad6b7169203331-01"),
        ("traceparent", f"ff-{TRACE}-b7ad6b7169203331-01"),
    ],
)
def test_ids_that_are_none_are_not_taken_over(line: Line, name: str, value: str) -> None:
    _, headers, body = get(line, "/ids", **{name: value})
    assert value not in headers["x-request-id"]
    assert (len(body["request"]), body["trace"]) == (16, "")


def test_security_headers(line: Line) -> None:
    _, headers, _ = get(line, "/ids")
    assert headers["cache-control"] == "no-store"
    assert "camera=()" in headers["permissions-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "strict-transport-security" not in headers


def test_hsts_is_sent_over_tls_only() -> None:
    def sent(scheme: str) -> dict[bytes, bytes]:
        messages: list[Any] = []

        async def send(message: Any) -> None:
            messages.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/ids", "headers": []}
        scope |= {"scheme": scheme, "query_string": b"", "root_path": ""}
        asyncio.run(make_app()(scope, receive, send))
        return dict(messages[0]["headers"])

    assert b"strict-transport-security" in sent("https")
    assert b"strict-transport-security" not in sent("http")


def test_log_lines_carry_the_ids_and_no_secret() -> None:
    class Settings(BaseModel):
        chaos_token: SecretStr = SecretStr('tok"en-value')
        database_url: SecretStr = SecretStr("postgresql://trader:pa55word@db/trading")
        other: SecretStr | None = None
        plain: str = "visible"

    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter(secrets_of(Settings())))
    record = logging.getLogger("secrets-test")
    record.addHandler(handler)
    record.propagate = False
    tokens = request_id.set("r-1"), trace_id.set(TRACE)
    try:
        try:
            raise RuntimeError("password authentication failed: pa55word")
        except RuntimeError:
            record.exception('said tok"en-value', extra={"url": Settings().database_url})
            record.error("leaks %s", "postgresql://trader:pa55word@db/trading", extra={"a": "b"})
    finally:
        request_id.reset(tokens[0])
        trace_id.reset(tokens[1])
        record.removeHandler(handler)
    lines = [json.loads(text) for text in written.getvalue().splitlines()]
    assert [x["request_id"] for x in lines] == ["r-1", "r-1"]
    assert [x["trace_id"] for x in lines] == [TRACE, TRACE]
    assert lines[0]["message"] == "said [redacted]"
    assert "RuntimeError" in lines[0]["exception"]
    assert lines[1]["message"] == "leaks [redacted]"
    for secret in ("en-value", "pa55word"):
        assert secret not in written.getvalue()


@pytest.mark.parametrize("path", ["/echo", "/typed"])
@pytest.mark.parametrize("sent", ["", "half of"])
def test_a_client_that_goes_away_in_the_middle_of_its_body_is_no_error(
    port: int, path: str, sent: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    gone = Line(port)
    gone.send(f"POST {path} HTTP/1.1\nHost: x\nContent-Type: application/json\n")
    gone.send(f"Content-Length: 100\n\n{sent}")
    gone.close()
    # A request that comes later is logged later.
    wait_for("its end", lambda: any(f"POST {path}" in r.getMessage() for r in caplog.records))
    assert [r for r in caplog.records if r.levelno >= logging.WARNING or r.exc_info] == []
