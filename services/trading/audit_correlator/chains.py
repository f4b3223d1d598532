"""The hash chains of all journals: every entry read is checked before anyone looks at it."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec

from trading.messages.audit import Discrepancy, JournalBatch, JournalEntry
from trading.runtime.journal import GENESIS, ChainBroken, verify

CHAIN_BROKEN = "CHAIN_BROKEN"
TRUNCATED = "TRUNCATED"


class Chain(msgspec.Struct, gc=False):
    """One journal as far as it has been read and holds. ``broken_at``: sequence number of the
    first entry that is wrong, 0 while none is; nothing after it is read.
    """

    source: str
    length: int = 0
    head: bytes = GENESIS
    broken_at: int = 0
    why: str = ""


class Chains:
    """Takes batches in any order; each entry counts once."""

    def __init__(self) -> None:
        self._chains: dict[str, Chain] = {}
        self._early: dict[str, dict[int, JournalBatch]] = {}

    @property
    def events(self) -> int:
        """Entries read whose chain holds."""
        return sum(chain.length for chain in self._chains.values())

    def length(self, source: str) -> int:
        chain = self._chains.get(source)
        return chain.length if chain is not None else 0

    def lengths(self) -> dict[str, int]:
        return {source: self._chains[source].length for source in sorted(self._chains)}

    def take(self, batch: JournalBatch) -> list[Sequence[JournalEntry]]:
        """The entries that are new, in order and verified; what follows a gap waits for it."""
        chain = self._chains.get(batch.source)
        if chain is None:
            chain = self._chains[batch.source] = Chain(batch.source)
        if chain.broken_at:
            return []
        if batch.after > chain.length:
            self._early.setdefault(batch.source, {})[batch.after] = batch
            return []
        accepted = [self._extend(chain, batch)]
        early = self._early.get(batch.source)
        while early:
            after = min(early)
            if after > chain.length:
                break
            accepted.append(self._extend(chain, early.pop(after)))
        return accepted

    def root(self) -> str:
        """Hex of the auditor's own hash: over name, length and head of every journal read, by
        name. The heads commit to every entry, so the root does.
        """
        root = GENESIS
        for source in sorted(self._chains):
            chain = self._chains[source]
            link = b'["%s",%d,"%s"]' % (source.encode(), chain.length, chain.head.hex().encode())
            root = sha256(root + link).digest()
        return root.hex()

    def missing(self, heads: dict[str, int]) -> list[str]:
        """The journals not yet read up to ``heads``, except those that never can be."""
        return [
            source
            for source, head in heads.items()
            if self.length(source) < head and self.broken(source) is None
        ]

    def broken(self, source: str) -> Discrepancy | None:
        """Where a chain does not hold, and why."""
        chain = self._chains.get(source)
        if chain is None or not chain.broken_at:
            return None
        why = f"entry {chain.broken_at}: {chain.why}"
        return Discrepancy(CHAIN_BROKEN, source, chain.broken_at, chain.length, why)

    def discrepancies(self, heads: dict[str, int]) -> list[Discrepancy]:
        """What keeps the audit from being complete; sequence numbers as amounts."""
        broken = [self.broken(source) for source in self._chains]
        found = [discrepancy for discrepancy in broken if discrepancy is not None]
        for source in self.missing(heads):
            read, head = self.length(source), heads[source]
            found.append(
                Discrepancy(TRUNCATED, source, head, read, f"read {read} of {head} entries")
            )
        return found

    def coverage_ppm(self, heads: dict[str, int]) -> int:
        """Entries read of entries written, as far as ``heads`` knows."""
        written = sum(heads.values())
        read = sum(min(self.length(source), head) for source, head in heads.items())
        return read * 1_000_000 // written if written else 0

    def state(self) -> dict[str, Any]:
        return {
            "chains": {
                source: [chain.length, chain.head.hex(), chain.broken_at, chain.why]
                for source, chain in self._chains.items()
            },
            "early": {source: sorted(held) for source, held in self._early.items()},
        }

    def _extend(self, chain: Chain, batch: JournalBatch) -> Sequence[JournalEntry]:
        fresh = batch.entries[chain.length - batch.after :]
        try:
            chain.length, chain.head = verify(fresh, after=chain.length, head=chain.head)
        except ChainBroken as error:
            good = fresh[: error.seq - 1 - chain.length]
            chain.length, chain.head = verify(good, after=chain.length, head=chain.head)
            chain.broken_at, chain.why = error.seq, error.why
            return good
        return fresh
