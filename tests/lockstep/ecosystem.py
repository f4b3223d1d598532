"""Seven hosts in one event loop, with links that delay, and services that die: a virtual run in
which everything happens in an order that a seed decides.
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
from trading.hosting.slices import slices
from trading.hosting.store import JournalStore, MemoryStore, Snapshot, Written
from trading.lockstep.conductor import Conductor
from trading.lockstep.follower import Follower
from trading.lockstep.packets import (
    Grant,
    Joined,
    Packet,
    Resume,
    SentFrame,
    Word,
    decode_packet,
    encode_packet,
)
from trading.messages.audit import AuditQuery, JournalEntry
from trading.runtime.network import Network
from trading.scenario.plan import RunPlan
from trading.topology import AUDIT_CORRELATOR, SERVICES, TEST_COORDINATOR

Heads = dict[str, tuple[int, str]]


class Disk(MemoryStore):
    """What outlives a process. A write that is under way when the process dies is all there, or
    not at all, and never comes later.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lock = Lock()
        self.life = 0


class Mounted:
    """A disk as one life of a process has it."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        disk.life += 1
        self._life = disk.life

    def __getattr__(self, name: str) -> Any:
        return getattr(self._disk, name)

    def write(
        self, session: int, entries: Sequence[Written], snapshot: Snapshot | None = None
    ) -> None:
        with self._disk.lock:
            if self._disk.life == self._life:
                self._disk.write(session, entries, snapshot)

    def unmount(self) -> None:
        with self._disk.lock:
            self._disk.life += 1


class Service:
    """One service's process: its host, which drives its part of the run."""

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
        """Begin, or come back as the journal says."""
        await self.host.start()
        self.alive = True
        prepare = self.prepare if self.name == AUDIT_CORRELATOR else None
        self.follower = Follower(self.host, self.say, self.send, prepare)
        for peer in self.host.live.streams:
            self.connect(peer)

    def connect(self, peer: str) -> None:
        """Open the way to a peer, from where it stands; and the way back."""
        other = self._ecosystem.services.get(peer)
        if other is None or not other.alive:
            return
        for source, target in ((self, other), (other, self)):
            stream = source.host.live.streams[target.name]
            received = target.follower.receipts.number(source.name)
            after = max(received, stream.first_kept - 1)
            source._sent[target.name] = after
            resume = Resume(after, stream.forgotten_until)
            words: list[Word] = []
            if target.name == TEST_COORDINATOR:
                words = [source.follower.joined()]
            source._pass(target, Packet(after + 1, source._frames(target.name), words, 0, resume))

    def send(self, peers: Sequence[str]) -> None:
        for peer in peers:
            other = self._ecosystem.services[peer]
            first = self._sent.get(peer, 0) + 1
            frames = self._frames(peer)
            if frames and other.alive:
                self._pass(other, Packet(first, frames, [], self.host.durable_until))

    def say(self, word: Word) -> None:
        """To the time keeper."""
        keeper = self._ecosystem.services[TEST_COORDINATOR]
        if self is keeper:
            self._ecosystem.hear(self.name, word)
        elif keeper.alive:
            first = self._sent.get(keeper.name, 0) + 1
            self._pass(keeper, Packet(first, self._frames(keeper.name), [word]))

    def say_to(self, name: str, word: Word) -> None:
        other = self._ecosystem.services[name]
        if other.alive:
            first = self._sent.get(name, 0) + 1
            self._pass(other, Packet(first, self._frames(name), [word]))

    def _frames(self, peer: str) -> list[SentFrame]:
        stream = self.host.live.streams[peer]
        frames = [SentFrame(*frame) for frame in stream.after(self._sent.get(peer, 0))]
        self._sent[peer] = self._sent.get(peer, 0) + len(frames)
        return frames

    def _pass(self, other: "Service", packet: Packet) -> None:
        self._ecosystem.carry(self, other, encode_packet(packet))

    def take(self, peer: str, packet: Packet) -> None:
        self.host.live.streams[peer].forget(packet.durable_until)
        if packet.resume is not None:
            self.follower.resume(peer, packet.resume)
        if packet.frames:
            self.follower.take(peer, peer, packet.first, packet.frames)
        for word in packet.words:
            if isinstance(word, Grant):
                self.follower.granted(word)
            elif self.name == TEST_COORDINATOR:
                self._ecosystem.hear(peer, word)

    def prepare(self, due: int) -> Awaitable[None] | None:
        """The auditor reads everybody's journal before it is asked."""
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
        for batch in slices(journals):
            self.host.kernel.feed(batch)
        for query in queries:
            answered = AuditQuery(query.source, query.run_id, heads)
            self.host.kernel.replace_due(self.name, query, answered)

    async def die(self) -> None:
        """Without a last word: what is not in the store is lost."""
        self.alive = False
        self._store.unmount()
        await self.host.tasks.stop()


class Ecosystem:
    """``seed`` decides how long each packet takes, and ``kills`` how many services die."""

    def __init__(self, plan: RunPlan, seed: int, kills: int = 0) -> None:
        self.plan = plan
        self.session = Session(plan=plan, run_id="x", key="x", journal=plan.journal_id)
        self.services: dict[str, Service] = {}
        self._random = random.Random(seed)
        self._kills = kills
        self._conductor: Conductor | None = None
        self._waiting: dict[str, Joined] = {}
        self._last: dict[tuple[str, str], float] = {}
        self._generation = dict.fromkeys(SERVICES, 0)

    def carry(self, source: Service, target: Service, text: bytes) -> None:
        """In order on each link, after a while that nobody knows; lost with either side."""
        loop = asyncio.get_running_loop()
        key = (source.name, target.name)
        at = max(loop.time() + self._random.random() * 2e-4, self._last.get(key, 0.0))
        self._last[key] = at
        lives = (self._generation[source.name], self._generation[target.name])

        def arrive() -> None:
            now = (self._generation[source.name], self._generation[target.name])
            if lives == now and target.alive:
                target.take(source.name, decode_packet(text))

        loop.call_at(at, arrive)

    def hear(self, name: str, word: Word) -> None:
        if self._conductor is not None:
            self._conductor.heard(name, word)
        elif isinstance(word, Joined):
            self._waiting[name] = word

    async def run(self) -> Heads:
        """To the end of the run; each journal's length and last hash."""
        for name in SERVICES:
            self.services[name] = Service(self, name, Disk())
        for name in SERVICES:
            await self.services[name].start()
        self._conduct()
        kills = sorted(self._random.random() for _ in range(self._kills))
        # At about these moments of a run of 130 simulated seconds.
        kills = [self.plan.start + int(share * 130e6) for share in kills]
        while not self.services[TEST_COORDINATOR].host.live.run_over:
            await asyncio.sleep(0.001)
            if kills and self.services[TEST_COORDINATOR].host.kernel.now > kills[0]:
                kills.pop(0)
                await self._kill()
        end = self.services[TEST_COORDINATOR].host.kernel.now + 1
        while not all(s.follower.caught_up(end) for s in self.services.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        if self._conductor is not None:
            await self._conductor.stop()
        heads: Heads = {}
        for name, service in self.services.items():
            journal = service.host.kernel.journals[name]
            heads[name] = (journal.length, journal.head.hex())
        for service in self.services.values():
            await service.die()
        return heads

    def _conduct(self) -> None:
        coordinator = self.services[TEST_COORDINATOR]
        self._conductor = Conductor(
            coordinator.host,
            {name: name for name in SERVICES},
            coordinator.say_to,
            coordinator.follower,
            3600,
            _failed,
        )
        waiting, self._waiting = self._waiting, {}
        for name, word in waiting.items():
            self._conductor.heard(name, word)

    async def _kill(self) -> None:
        """Some services, perhaps all at once; they come back one after the other."""
        count = self._random.choice((1, 1, 2, len(SERVICES)))
        names = self._random.sample(list(SERVICES), count)
        for name in names:
            if name == TEST_COORDINATOR and self._conductor is not None:
                await self._conductor.stop()
                self._conductor = None
            elif self._conductor is not None:
                self._conductor.lost(name)
            self._generation[name] += 1
            await self.services[name].die()
        self._random.shuffle(names)
        for name in names:
            self.services[name] = Service(self, name, self.services[name].disk)
            await self.services[name].start()
        if self._conductor is None:
            self._conduct()


def _failed(why: str) -> None:
    raise AssertionError(why)
