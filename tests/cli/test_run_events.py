"""How the command line follows the events of a run: over lost connections, up to the verdict."""

from pathlib import Path

import pytest

from tests.event_stream import event_server
from trading.cli.coordinator import Coordinator
from trading.cli.wrong_input import WrongInput

FIRST = (
    b": a comment\n\n"
    b'id: 1\nevent: phase\ndata: {"text":"Active"}\n\n'
    b'event: pnl\ndata: {"pnl":\ndata: "1"}\n\n: alive\n\n'
    b'id: 2\nevent: fault\ndata: {"cut'
)
SECOND = (
    b'id:2\r\nevent:fault\r\ndata:{"text":"a\xe2\x80\xa8b"}\r\n\r\nevent: verdict\ndata: {}\n\n'
)


def test_events_go_on_after_the_last_complete_one(tmp_path: Path) -> None:
    with event_server(FIRST, SECOND) as server:
        events = list(Coordinator(server.url, tmp_path).events("crash-1"))
    assert events == [
        ("phase", {"text": "Active"}),
        ("pnl", {"pnl": "1"}),
        ("fault", {"text": "a\u2028b"}),
        ("verdict", {}),
    ]
    assert server.last_event_ids == ["0", "1"]


def test_a_run_that_does_not_exist(tmp_path: Path) -> None:
    with event_server() as server, pytest.raises(WrongInput, match="no run crash-1"):
        list(Coordinator(server.url, tmp_path).events("crash-1"))
