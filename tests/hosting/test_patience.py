"""An operation that needs the store is repeated until the store can be reached."""

import asyncio

import pytest

from trading.hosting.store import StoreUnavailable
from trading.hosting.store_retry import retry_while_unavailable


def test_it_waits_for_the_store_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("trading.hosting.store_retry._RETRY_DELAY", 0)
    attempts: list[str] = []

    def put(name: str) -> str:
        attempts.append(name)
        if len(attempts) < 4:
            raise StoreUnavailable("away")
        return name

    assert asyncio.run(retry_while_unavailable(put, "anchor")) == "anchor"
    assert attempts == ["anchor"] * 4
    assert [r.getMessage() for r in caplog.records] == ["waiting for the store: away"]


def test_another_failure_is_one() -> None:
    def put() -> None:
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        asyncio.run(retry_while_unavailable(put))
