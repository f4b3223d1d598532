"""Fixtures of every test, and how pytest-xdist distributes the tests over its workers."""

import os
from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx
import pytest
from xdist.scheduler import LoadScopeScheduling

#: What takes longest, by the beginnings of paths; it begins first, so that no worker is left alone
#: with it in the end.
_FIRST = (
    "serve/test_virtual_time",
    "serve/test_real_network",
    "serve/test_engines",
    "serve/test_runs_apart",
    "serve",
    "api/test_halts",
    "api/test_runs",
    "embedded/test_shipped",
    "api",
    "trading_operator",
    "upstream",
    "observability",
    "embedded",
    "audit_correlator",
    "evidence",
    "bench",
    "cli",
    "chart",
)
#: Folders whose modules share what takes long to make: one worker has all of each.
_TOGETHER = ("evidence", "observability", "chart")
#: Modules whose tests take long and share nothing: any worker takes any of them.
_APART = (
    "serve/test_engines",
    "serve/test_real_network",
    "serve/test_kills",
    "serve/test_wrong_clock",
    "embedded/test_shipped_scenarios",
    "embedded/test_every_fault",
    "trading_operator/test_wrong",
    "upstream/test_up_live",
)


class _Sharing(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each worker whole modules or folders, so that their shared fixtures are set up once."""

    def _split_scope(self, nodeid: str) -> str:
        where = _where(nodeid)
        folder = where.partition("/")[0]
        if where in _APART:
            return nodeid
        return folder if folder in _TOGETHER else where


def pytest_xdist_auto_num_workers() -> int:
    """Return three for two cores: many tests wait for what another process says at its own pace."""
    cores = os.cpu_count() or 1
    return cores + (cores + 1) // 2


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Sharing | None:
    """Return how tests are shared out, where nothing else is asked for by ``--dist``."""
    if config.getoption("dist") != "load":
        return None
    config.option.loadscopereorder = False
    return _Sharing(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests that take longest to the front."""
    items.sort(key=lambda item: _rank(_where(item.nodeid)))


def _where(nodeid: str) -> str:
    return nodeid.partition("::")[0].removeprefix("tests/").removesuffix(".py")


@cache
def _rank(where: str) -> int:
    return next((n for n, begin in enumerate(_FIRST) if where.startswith(begin)), len(_FIRST))


@pytest.fixture(scope="session", autouse=True)
def _certificates_read_once() -> Iterator[None]:
    """Let all httpx clients of the tests share one SSL context: without it each would read the same
    certificate authorities again, which takes thirty times longer than a local request.
    """
    with pytest.MonkeyPatch.context() as patch:
        name = "httpx._transports.default.create_ssl_context"
        patch.setattr(name, cache(httpx.create_ssl_context))
        yield
