"""The hash-chained journal: its bytes are canonical, and every change of them is detected."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.messages.audit import JournalEntry
from trading.messages.market import PriceTick
from trading.runtime.journal import (
    GENESIS,
    ChainBroken,
    MemoryJournal,
    decode,
    from_ndjson,
    kind_of,
    to_ndjson,
    verify,
)


def filled(count: int) -> MemoryJournal:
    """Return a journal with so many entries."""
    journal = MemoryJournal("market-data")
    for i in range(count):
        journal.append(i * 1000, "PriceTick", PriceTick("BTC", 100 + i, i + 1, i * 1000))
    return journal


def test_entry_bytes_are_canonical() -> None:
    journal = filled(1)
    (entry,) = journal.after(0)
    assert entry.body == (
        b'[1,0,"PriceTick",{"msg":"PriceTick","asset":"BTC","price":100,"seq":1,"event_time":0}]'
    )
    assert kind_of(entry.body) == "PriceTick"
    assert decode(entry.body)[:3] == (1, 0, "PriceTick")


def test_sealed_segments_read_like_open_ones() -> None:
    journal = filled(10_000)
    entries = list(journal.after(0))
    assert [decode(e.body)[0] for e in entries] == list(range(1, 10_001))
    assert verify(entries) == (10_000, journal.head)
    for after in (0, 1, 4095, 4096, 4097, 8192, 9_999, 10_000):
        assert list(journal.after(after)) == entries[after:]


def test_continuation_is_verified_from_the_head_before() -> None:
    journal = filled(20)
    seq, head = verify(list(journal.after(0))[:12])
    assert verify(journal.after(12), after=seq, head=head) == (20, journal.head)
    with pytest.raises(ChainBroken):
        verify(journal.after(12), after=seq, head=GENESIS)


@given(st.integers(0, 29), st.integers(0, 200), st.integers(1, 255))
def test_any_changed_byte_is_found_at_its_entry(index: int, position: int, flip: int) -> None:
    entries = list(filled(30).after(0))
    body = bytearray(entries[index].body)
    body[position % len(body)] ^= flip
    entries[index] = JournalEntry(bytes(body), entries[index].hash)
    with pytest.raises(ChainBroken) as broken:
        verify(entries)
    assert broken.value.seq == index + 1


@given(st.integers(0, 28))
def test_removed_and_swapped_entries_are_found(index: int) -> None:
    entries = list(filled(30).after(0))
    with pytest.raises(ChainBroken):
        verify(entries[:index] + entries[index + 1 :])
    swapped = list(entries)
    swapped[index], swapped[index + 1] = swapped[index + 1], swapped[index]
    with pytest.raises(ChainBroken):
        verify(swapped)


@given(st.binary(max_size=120))
def test_lines_that_are_no_entries_are_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="not a journal line"):
        from_ndjson(line)


def test_ndjson_gives_the_entry_back() -> None:
    for entry in filled(3).after(0):
        line = to_ndjson(entry)
        assert from_ndjson(line) == entry
        msgspec.json.decode(line)
