"""The hash chains of all journals: every entry is verified before anything else reads it."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec

from trading.messages.audit import Discrepancy, DiscrepancyKind, JournalBatch, JournalEntry
from trading.runtime.journal import GENESIS, ChainBroken, verify

#: Kinds of discrepancies: an entry whose hash is wrong, and entries that were never received.


class Chain(msgspec.Struct, gc=False):
    """The part of one journal that has been read and verified.

    ``length`` is the sequence number of its last entry, and ``head`` the hash of that entry.
    ``broken_at`` is the sequence number of the first invalid entry, 0 if there is none; nothing
    after it is read. ``why`` says what is wrong with that entry.
    """

    source: str
    length: int = 0
    head: bytes = GENESIS
    broken_at: int = 0
    why: str = ""


class Chains:
    """Verifies batches of journal entries, which may arrive in any order and more than once."""

    def __init__(self) -> None:
        self._chains: dict[str, Chain] = {}
        self._early_batches: dict[str, dict[int, JournalBatch]] = {}

    @property
    def events(self) -> int:
        """Return how many entries of all journals have been read and verified."""
        return sum(chain.length for chain in self._chains.values())

    def length(self, source: str) -> int:
        """Return the sequence number of the last verified entry of a journal, initially 0."""
        chain = self._chains.get(source)
        return chain.length if chain is not None else 0

    def lengths(self) -> dict[str, int]:
        """Return the sequence number of the last verified entry of every journal, by name."""
        return {source: self._chains[source].length for source in sorted(self._chains)}

    def accept(self, batch: JournalBatch) -> list[Sequence[JournalEntry]]:
        """Verify a batch, and return the new entries in order, as one sequence for each batch.

        A batch that follows a gap is kept until the gap is filled. Entries that have been read
        already, and entries after an invalid one, are ignored.
        """
        chain = self._chains.get(batch.source)
        if chain is None:
            chain = self._chains[batch.source] = Chain(batch.source)
        if chain.broken_at:
            return []
        if batch.after > chain.length:
            self._early_batches.setdefault(batch.source, {})[batch.after] = batch
            return []
        accepted = [self._extend(chain, batch)]
        early = self._early_batches.get(batch.source)
        while early:
            after = min(early)
            if after > chain.length:
                break
            accepted.append(self._extend(chain, early.pop(after)))
        return accepted

    def root(self) -> str:
        """Return the root hash of the audit, in hex.

        It is computed over name, length and head of every journal, in the order of the names. A
        head commits to every entry of its journal, so the root commits to all entries.
        """
        root = GENESIS
        for source in sorted(self._chains):
            chain = self._chains[source]
            link = b'["%s",%d,"%s"]' % (source.encode(), chain.length, chain.head.hex().encode())
            root = sha256(root + link).digest()
        return root.hex()

    def missing(self, heads: dict[str, int]) -> list[str]:
        """Return the journals that have not been read up to ``heads``. A broken journal does not
        count, since it will never be read that far.
        """
        return [
            source
            for source, head in heads.items()
            if self.length(source) < head and self.broken(source) is None
        ]

    def broken(self, source: str) -> Discrepancy | None:
        """Return where and why the chain of a journal is broken; None if it is not."""
        chain = self._chains.get(source)
        if chain is None or not chain.broken_at:
            return None
        why = f"entry {chain.broken_at}: {chain.why}"
        return Discrepancy(DiscrepancyKind.CHAIN_BROKEN, source, chain.broken_at, chain.length, why)

    def discrepancies(self, heads: dict[str, int]) -> list[Discrepancy]:
        """Return the broken chains, and the journals that are shorter than ``heads`` says. The
        amounts of these discrepancies are sequence numbers.
        """
        broken = [self.broken(source) for source in self._chains]
        discrepancies = [discrepancy for discrepancy in broken if discrepancy is not None]
        for source in self.missing(heads):
            read, head = self.length(source), heads[source]
            discrepancies.append(
                Discrepancy(
                    DiscrepancyKind.TRUNCATED, source, head, read, f"read {read} of {head} entries"
                )
            )
        return discrepancies

    def coverage_ppm(self, heads: dict[str, int]) -> int:
        """Return the share of the entries up to ``heads`` that has been read, in ppm."""
        written = sum(heads.values())
        read = sum(min(self.length(source), head) for source, head in heads.items())
        return read * 1_000_000 // written if written else 0

    def state(self) -> dict[str, Any]:
        """Return everything that decides later reports, as plain values."""
        return {
            "chains": {
                source: [chain.length, chain.head.hex(), chain.broken_at, chain.why]
                for source, chain in self._chains.items()
            },
            "early": {source: sorted(batches) for source, batches in self._early_batches.items()},
        }

    def _extend(self, chain: Chain, batch: JournalBatch) -> Sequence[JournalEntry]:
        new_entries = batch.entries[chain.length - batch.after :]
        try:
            chain.length, chain.head = verify(new_entries, after=chain.length, head=chain.head)
        except ChainBroken as error:
            valid = new_entries[: error.seq - 1 - chain.length]
            chain.length, chain.head = verify(valid, after=chain.length, head=chain.head)
            chain.broken_at, chain.why = error.seq, error.why
            return valid
        return new_entries
