"""Runs seven hosts in one event loop, with links that delay packets and services that are killed: a
virtual run whose real order of events is decided by a seed.
"""

import asyncio
import random
from collections.abc import Awaitable, Iterator, Sequence
from itertools import islice
from threading import Lock
from typing import Any, cast

from trading.embedded.ecosystem import components
from trading.hosting.host import Host
from trading.hosting.session import Session
from trading.hosting.slices import time_slices
from trading.hosting.store import EntryToWrite, JournalStore, MemoryStore, Snapshot
from trading.lockstep.conductor import Conductor
from trading.lockstep.follower import Follower
from trading.lockstep.packets import (
    Control,
    Grant,
    Joined,
    Packet,
    Resume,
    SentFrame,
    decode_packet,
    encode_packet,
)
from trading.messages.audit import AuditQuery, JournalEntry
from trading.runtime.network import Network
from trading.scenario.plan import RunPlan
from trading.topology import AUDIT_CORRELATOR, SERVICES, TEST_COORDINATOR

Heads = dict[str, tuple[int, str]]


class Disk(MemoryStore):
    """A store that outlives a process. A write that is in progress when the process is killed takes
    effect completely or not at all, and never later.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lock = Lock()
        self.life = 0


class Mounted:
    """A disk as one process uses it, until the process is killed."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        disk.life += 1
        self._life = disk.life

    def __getattr__(self, name: str) -> Any:
        return getattr(self._disk, name)

    def write(
        self, session: int, entries: Sequence[EntryToWrite], snapshot: Snapshot | None = None
    ) -> None:
        """Write to the disk, unless it is unmounted by now."""
        with self._disk.lock:
            if self._disk.life == self._life:
                self._disk.write(session, entries, snapshot)

    def unmount(self) -> None:
        """Ignore all later writes."""
        with self._disk.lock:
            self._disk.life += 1


class Service:
    """The process of one service: its host, and the follower that drives it."""

    def __init__(self, ecosystem: "Ecosystem", name: str, disk: Disk) -> None:
        self.name = name
        self.disk = disk
        self._store = Mounted(disk)
        self._ecosystem = ecosystem
        self.host = Host(
            lambda session: [c for c in components(session.plan) if c.name == name],
            cast(JournalStore, self._store),
            idle=lambda: ecosystem.session,
            auditor=AUDIT_CORRELATOR if name == AUDIT_CORRELATOR else "",
            sender=lambda items: None,
        )
        self.follower: Follower
        self.alive = False
        self._sent: dict[str, int] = {}

    async def start(self) -> None:
        """Start, with the state of the journal if there is one, and connect to all peers."""
        await self.host.start()
        self.alive = True
        prepare = self.prepare if self.name == AUDIT_CORRELATOR else None
        self.follower = Follower(self.host, self.send_control, self.send, prepare)
        for peer in self.host.live.streams:
            self.connect(peer)

    def connect(self, peer: str) -> None:
        """Open a link to a peer in both directions, after the last message received."""
        other = self._ecosystem.services.get(peer)
        if other is None or not other.alive:
            return
        for source, target in ((self, other), (other, self)):
            stream = source.host.live.streams[target.name]
            received = target.follower.receipts.last_received(source.name)
            after = max(received, stream.first_kept - 1)
            source._sent[target.name] = after
            resume = Resume(after, stream.forgotten_until)
            controls: list[Control] = []
            if target.name == TEST_COORDINATOR:
                controls = [source.follower.joined()]
            frames = source._new_frames(target.name)
            source._transmit(target, Packet(after + 1, frames, controls, 0, resume))

    def send(self, peers: Sequence[str]) -> None:
        """Send all new messages to these services."""
        for peer in peers:
            other = self._ecosystem.services[peer]
            first = self._sent.get(peer, 0) + 1
            frames = self._new_frames(peer)
            if frames and other.alive:
                self._transmit(other, Packet(first, frames, [], self.host.durable_until))

    def send_control(self, control: Control) -> None:
        """Send a control message to the time keeper."""
        coordinator = self._ecosystem.services[TEST_COORDINATOR]
        if self is coordinator:
            self._ecosystem.conduct(self.name, control)
        elif coordinator.alive:
            self.send_to(coordinator.name, control)

    def send_to(self, name: str, control: Control) -> None:
        """Send a control message behind all messages so far, unless the receiver is away."""
        other = self._ecosystem.services[name]
        if other.alive:
            first = self._sent.get(name, 0) + 1
            self._transmit(other, Packet(first, self._new_frames(name), [control]))

    def _new_frames(self, peer: str) -> list[SentFrame]:
        stream = self.host.live.streams[peer]
        frames = [SentFrame(*frame) for frame in stream.after(self._sent.get(peer, 0))]
        self._sent[peer] = self._sent.get(peer, 0) + len(frames)
        return frames

    def _transmit(self, other: "Service", packet: Packet) -> None:
        self._ecosystem.carry(self, other, encode_packet(packet))

    def receive(self, peer: str, packet: Packet) -> None:
        """Handle a packet from a peer."""
        self.host.live.streams[peer].forget(packet.durable_until)
        if packet.resume is not None:
            self.follower.resume(peer, packet.resume)
        if packet.frames:
            self.follower.receive(peer, peer, packet.first, packet.frames)
        for control in packet.controls:
            if isinstance(control, Grant):
                self.follower.granted(control)
            elif self.name == TEST_COORDINATOR:
                self._ecosystem.conduct(peer, control)

    def prepare(self, due: int) -> Awaitable[None] | None:
        """Return what lets the auditor read all journals before an instant with a query."""
        queries = [m for m in self.host.kernel.due(self.name) if isinstance(m, AuditQuery)]
        return self._read_before(due, queries) if queries else None

    async def _read_before(self, due: int, queries: Sequence[AuditQuery]) -> None:
        journals: dict[str, tuple[int, Iterator[JournalEntry]]] = {}
        heads = {}
        for source in (*SERVICES, Network.name):
            owner = TEST_COORDINATOR if source == Network.name else source
            if owner == self.name:
                continue
            while True:
                service = self._ecosystem.services[owner]
                if service.alive and service.follower.caught_up(due):
                    break
                await asyncio.sleep(0.001)
            journal = service.host.live.journal(source)
            heads[source] = journal.head_before(due).length
            journals[source] = (0, islice(list(journal.after(0)), heads[source]))
        for batch in time_slices(journals):
            self.host.kernel.feed_auditor(batch)
        for query in queries:
            completed = AuditQuery(query.source, query.run_id, heads)
            self.host.kernel.replace_due(self.name, query, completed)

    async def kill(self) -> None:
        """End the process at once: what is not in the store is lost."""
        self.alive = False
        self._store.unmount()
        await self.host.tasks.stop()


class Ecosystem:
    """Runs a plan in one process for each service. ``seed`` decides how long each packet takes, and
    ``kills`` is how many times services are killed.
    """

    def __init__(self, plan: RunPlan, seed: int, kills: int = 0) -> None:
        self.plan = plan
        self.session = Session(plan=plan, run_id="x", key="x", journal=plan.journal_id)
        self.services: dict[str, Service] = {}
        self._random = random.Random(seed)
        self._kills = kills
        self._conductor: Conductor | None = None
        #: The latest Joined of each service while there is no conductor.
        self._joined: dict[str, Joined] = {}
        #: When the last packet arrives, by sender and receiver.
        self._last_arrival: dict[tuple[str, str], float] = {}
        #: How many processes each service has had before.
        self._generation = dict.fromkeys(SERVICES, 0)

    def carry(self, source: Service, target: Service, text: bytes) -> None:
        """Deliver a packet after a random delay, in order on each link; it is lost if either side
        is killed before.
        """
        loop = asyncio.get_running_loop()
        key = (source.name, target.name)
        at = max(loop.time() + self._random.random() * 2e-4, self._last_arrival.get(key, 0.0))
        self._last_arrival[key] = at
        generations = (self._generation[source.name], self._generation[target.name])

        def arrive() -> None:
            now = (self._generation[source.name], self._generation[target.name])
            if generations == now and target.alive:
                target.receive(source.name, decode_packet(text))

        loop.call_at(at, arrive)

    def conduct(self, name: str, control: Control) -> None:
        """Hand a control message to the conductor, or keep it for the next one."""
        if self._conductor is not None:
            self._conductor.receive(name, control)
        elif isinstance(control, Joined):
            self._joined[name] = control

    async def run(self) -> Heads:
        """Run to the end of the plan, and return each journal's length and last hash."""
        for name in SERVICES:
            self.services[name] = Service(self, name, Disk())
        for name in SERVICES:
            await self.services[name].start()
        self._start_conductor()
        kills = sorted(self._random.random() for _ in range(self._kills))
        # The run takes about 130 simulated seconds.
        kills = [self.plan.start + int(share * 130e6) for share in kills]
        while not self.services[TEST_COORDINATOR].host.run_over:
            await asyncio.sleep(0.001)
            if kills and self.services[TEST_COORDINATOR].host.processed_until > kills[0]:
                kills.pop(0)
                await self._kill()
        end = self.services[TEST_COORDINATOR].host.processed_until + 1
        while not all(s.follower.caught_up(end) for s in self.services.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        if self._conductor is not None:
            await self._conductor.stop()
        heads: Heads = {}
        for name, service in self.services.items():
            journal = service.host.kernel.journals[name]
            heads[name] = (journal.length, journal.head.hex())
        for service in self.services.values():
            await service.kill()
        return heads

    def _start_conductor(self) -> None:
        coordinator = self.services[TEST_COORDINATOR]
        self._conductor = Conductor(
            coordinator.host,
            {name: name for name in SERVICES},
            coordinator.send_to,
            coordinator.follower,
            3600,
            Observer(),
        )
        joined, self._joined = self._joined, {}
        for name, control in joined.items():
            self._conductor.receive(name, control)

    async def _kill(self) -> None:
        """Kill some services, perhaps all at once, and start them one after the other."""
        count = self._random.choice((1, 1, 2, len(SERVICES)))
        names = self._random.sample(list(SERVICES), count)
        for name in names:
            if name == TEST_COORDINATOR and self._conductor is not None:
                await self._conductor.stop()
                self._conductor = None
            elif self._conductor is not None:
                self._conductor.disconnected(name)
            self._generation[name] += 1
            await self.services[name].kill()
        self._random.shuffle(names)
        for name in names:
            self.services[name] = Service(self, name, self.services[name].disk)
            await self.services[name].start()
        if self._conductor is None:
            self._start_conductor()


class Observer:
    """Lets a run go on, and fails the test if it cannot: no participant is dismissed here."""

    def must_hold(self) -> bool:
        return False

    def on_joined(self, name: str) -> None:
        """Do nothing: there is no other network that a participant had to know of."""

    async def record_dismissal(self, name: str, at: int) -> None:
        raise AssertionError(f"{name} is dismissed at {at}")

    def on_dismissed(self, name: str) -> None:
        raise AssertionError(f"{name} is dismissed")

    def on_failed(self, why: str) -> None:
        raise AssertionError(why)
