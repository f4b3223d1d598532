"""One ecosystem for the tests of a module."""

from collections.abc import Iterator

import httpx
import pytest

from tests.api.running import Up, wait_for


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    ecosystem = Up(tmp_path_factory.mktemp("up") / "data")
    try:
        wait_for("a two-sided book", lambda: _quoted(ecosystem))
        yield ecosystem
    finally:
        ecosystem.stop()


def _quoted(up: Up) -> bool:
    top = httpx.get(up.url["exchange"] + "/api/v3/ticker/bookTicker?symbol=BTCUSDT").json()
    known = httpx.get(up.url["risk-monitor"] + "/api/portfolio").json()
    return bool(float(top["bidPrice"]) and known["known"])
