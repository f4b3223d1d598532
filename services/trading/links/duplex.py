"""Runs the two directions of a link until one of them ends."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from fastapi import WebSocketDisconnect
from websockets.exceptions import WebSocketException

from trading.hosting.store import EntriesLost, StoreUnavailable
from trading.links.inbound import ProtocolViolation
from trading.links.outbound import OutboundLink
from trading.links.sockets import Socket
from trading.links.virtual import VirtualInboundLink, VirtualLinks, VirtualOutboundLink
from trading.lockstep.packets import Dismissed, Packet, encode_packet
from trading.topology import TEST_COORDINATOR, may_connect

log = logging.getLogger(__name__)

#: Errors that mean that a link has ended, which is normal; any other error is a defect.
DISCONNECT_ERRORS = (
    OSError,
    WebSocketException,
    WebSocketDisconnect,
    TimeoutError,
    RuntimeError,
    ValueError,
    StoreUnavailable,
    EntriesLost,
)


async def run_until_first_ends(*directions: Coroutine[Any, Any, Any]) -> None:
    """Run all coroutines until the first one ends, and cancel the others. Raises what the first
    one raises.
    """
    tasks = [asyncio.create_task(direction) for direction in directions]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def carries_messages(caller: str, callee: str) -> bool:
    """Return whether this link carries the messages of the two services in virtual time. Where
    both may open a link, only the one that the coordinator opens does.
    """
    return not may_connect(callee, caller) or caller == TEST_COORDINATOR


async def wait_for_close(socket: Socket) -> None:
    """Keep a link without messages open until the other side closes it."""
    while True:
        await socket.receive()


async def ignore_dismissed(socket: Socket, service: str, name: str) -> None:
    """Keep a link open without reading the messages of an instance that does not take part in this
    session. Where ``service`` is the coordinator, send the instance the reason first.
    """
    if service == TEST_COORDINATOR:
        await socket.send(encode_packet(Packet(1, controls=[Dismissed(name)])))
    await wait_for_close(socket)


async def send_messages(socket: Socket, outbound: OutboundLink | VirtualOutboundLink) -> None:
    """Send everything that the outgoing half of a link has to send, until it ends the link."""
    async for message in outbound.messages():
        await socket.send(message)


async def exchange_packets(
    socket: Socket, virtual: VirtualLinks, outbound: VirtualOutboundLink, *, chaos: bool
) -> None:
    """Run both directions of a link in virtual time until one ends or the link is cut. Faults are
    accepted only if ``chaos`` is true.
    """
    inbound = VirtualInboundLink(virtual, outbound.peer, outbound.name, chaos=chaos)
    virtual.link_opened(outbound)
    try:
        await run_until_first_ends(
            send_messages(socket, outbound),
            _receive_packets(socket, inbound),
            outbound.cut.wait(),
        )
    finally:
        virtual.link_closed(outbound)


async def _receive_packets(socket: Socket, inbound: VirtualInboundLink) -> None:
    """Handle incoming packets until the peer violates the protocol."""
    while True:
        text = await socket.receive()
        try:
            inbound.receive(text)
        except ProtocolViolation as error:
            log.error("link closed: %s", error)
            return
