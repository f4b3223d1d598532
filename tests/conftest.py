"""Fixtures of every test, and how pytest-xdist distributes the tests over its workers."""

import os
from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx
import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# A property holds or does not, however slow the machine is.
settings.register_profile("without-deadline", deadline=None)
settings.load_profile("without-deadline")

#: Prefixes of the paths of the tests that take longest. They start first, so that no worker has to
#: finish one of them alone at the end.
_SLOWEST = (
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
#: Folders whose modules share slow fixtures: one worker runs all of a folder.
_SHARED_FOLDERS = ("evidence", "observability", "chart")
#: Modules whose tests are slow and share nothing: any worker may run any of them.
_SPLIT_MODULES = (
    "serve/test_engines",
    "serve/test_real_network",
    "serve/test_kills",
    "serve/test_wrong_clock",
    "embedded/test_shipped_scenarios",
    "embedded/test_every_fault",
    "trading_operator/test_wrong",
    "upstream/test_up_live",
)


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each worker whole modules or folders, so that their shared fixtures are set up once."""

    def _split_scope(self, nodeid: str) -> str:
        module = _module_of(nodeid)
        folder = module.partition("/")[0]
        if module in _SPLIT_MODULES:
            return nodeid
        return folder if folder in _SHARED_FOLDERS else module


def pytest_xdist_auto_num_workers() -> int:
    """Return three workers for two cores, because many tests wait for other processes."""
    cores = os.cpu_count() or 1
    return cores + (cores + 1) // 2


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Scheduling | None:
    """Return our scheduler, unless `--dist` selects another one."""
    if config.getoption("dist") != "load":
        return None
    config.option.loadscopereorder = False
    return _Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests that take longest to the front."""
    items.sort(key=lambda item: _rank(_module_of(item.nodeid)))


def _module_of(nodeid: str) -> str:
    return nodeid.partition("::")[0].removeprefix("tests/").removesuffix(".py")


@cache
def _rank(module: str) -> int:
    return next((n for n, begin in enumerate(_SLOWEST) if module.startswith(begin)), len(_SLOWEST))


@pytest.fixture(scope="session", autouse=True)
def _certificates_read_once() -> Iterator[None]:
    """Let all httpx clients of the tests share one SSL context: without it each would read the same
    certificate authorities again, which takes thirty times longer than a local request.
    """
    with pytest.MonkeyPatch.context() as patch:
        name = "httpx._transports.default.create_ssl_context"
        patch.setattr(name, cache(httpx.create_ssl_context))
        yield
