"""How a link's two directions are held, until one of them ends."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from fastapi import WebSocketDisconnect
from websockets.exceptions import WebSocketException

from trading.hosting.store import EntriesLost, StoreUnavailable
from trading.links.intake import Misbehaved
from trading.links.sockets import Socket
from trading.links.virtual import VirtualIntake
from trading.topology import TEST_COORDINATOR, may_connect

log = logging.getLogger(__name__)

#: A link that ends is nothing special.
GONE = (
    OSError,
    WebSocketException,
    WebSocketDisconnect,
    TimeoutError,
    RuntimeError,
    ValueError,
    StoreUnavailable,
    EntriesLost,
)


async def first_of(*work: Coroutine[Any, Any, Any]) -> None:
    """Run all of it until the first has ended, which may raise."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def carries(caller: str, callee: str) -> bool:
    """In virtual time, does this link carry the messages of the two? Where both call each other,
    the coordinator's does.
    """
    return not may_connect(callee, caller) or caller == TEST_COORDINATOR


async def stay(socket: Socket) -> None:
    """Keep a link over which nothing is said, until the other side ends it."""
    while True:
        await socket.receive()


async def take_packets(socket: Socket, intake: VirtualIntake) -> None:
    """Take what comes, until the peer says what it may not say."""
    while True:
        text = await socket.receive()
        try:
            intake.take(text)
        except Misbehaved as error:
            log.error("link closed: %s", error)
            return
