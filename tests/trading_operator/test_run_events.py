"""How the operator follows the events of a run, whatever the coordinator sends."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.event_stream import event_server
from tests.trading_operator.making import verdict
from trading_operator.coordinator import Coordinator, RunEventStream, Unreachable

ACTIVE = b'id: 1\nevent: phase\ndata: {"text":"Active"}\n\n'
FAULT = b'id: 2\nevent: fault\ndata: {"step":"applied"}\n\n'


async def _events(url: str, after: str = "0") -> list[tuple[str, str, Any]]:
    coordinator = Coordinator(url, Path("no-token"))
    try:
        return [event async for event in coordinator.events("crash-1", after)]
    finally:
        await coordinator.close()


def test_events_with_comments_between_and_without_an_end() -> None:
    with event_server(b": alive\n\n" + ACTIVE + b": alive\n\n" + FAULT[:-5]) as server:
        events = asyncio.run(_events(server.url, "7"))
    assert events == [("1", "phase", {"text": "Active"})]
    assert server.last_event_ids == ["7"]


@pytest.mark.parametrize("data", [b'{"text"', b"NaN?", b"\xff"])
def test_data_that_is_no_json_is_an_error(data: bytes) -> None:
    with event_server(b"data: " + data + b"\n\n") as server, pytest.raises(Unreachable):
        asyncio.run(_events(server.url))


def test_a_refusal_is_an_error() -> None:
    with event_server() as server, pytest.raises(Unreachable, match="404"):
        asyncio.run(_events(server.url))


def test_a_stream_connects_again_until_the_verdict() -> None:
    """Whether the connection ends, an event cannot be read, or the coordinator answers nothing."""
    last = b"event: verdict\ndata: " + msgspec.json.encode(verdict()) + b"\n\n"
    bodies = (ACTIVE, b"", b"id: 9\nevent: fault\ndata: {]\n\n", FAULT, last)

    async def follow(url: str) -> RunEventStream:
        coordinator = Coordinator(url, Path("no-token"))
        changed = asyncio.Event()
        stream = RunEventStream(coordinator, "crash-1", changed.set)
        stream.start()
        while stream.verdict is None:
            await changed.wait()
            changed.clear()
        await stream.stop()
        await coordinator.close()
        return stream

    with event_server(*bodies) as server:
        stream = asyncio.run(follow(server.url))
    assert stream.verdict == verdict()
    assert [event["kind"] for event in stream.events] == ["phase", "fault"]
    assert server.last_event_ids == ["0", "1", "1", "1", "2"]
