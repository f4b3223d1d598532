"""What needs a store that is away is done once it is back."""

import asyncio

import pytest

from trading.hosting.patience import stored
from trading.hosting.store import StoreUnavailable


def test_it_waits_for_the_store_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("trading.hosting.patience._AGAIN", 0)
    asked: list[str] = []

    def put(name: str) -> str:
        asked.append(name)
        if len(asked) < 4:
            raise StoreUnavailable("away")
        return name

    assert asyncio.run(stored(put, "anchor")) == "anchor"
    assert asked == ["anchor"] * 4
    assert [r.getMessage() for r in caplog.records] == ["waiting for the store: away"]


def test_another_failure_is_one() -> None:
    def put() -> None:
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        asyncio.run(stored(put))
