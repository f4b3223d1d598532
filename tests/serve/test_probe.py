"""Tests ``python -m trading.server.probe``, the health check of the containers."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from trading.server.probe import main


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/good" else 503)
        self.end_headers()
        self.wfile.write(b"no exchange yet")

    def log_message(self, *arguments: object) -> None:
        return


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_good_answers(url: str) -> None:
    assert main([url + "/good", url + "/good"]) == 0


def test_the_bad_one_is_named_with_what_it_said(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([url + "/good", url + "/bad"]) == 1
    errors = capsys.readouterr().err
    assert f"{url}/bad: 503 no exchange yet" in errors and "/good" not in errors


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--wait", "0", "http://127.0.0.1:1/"]) == 1
    assert "http://127.0.0.1:1/: " in capsys.readouterr().err
