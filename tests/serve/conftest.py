"""Seven processes for the tests of a module."""

from collections.abc import Iterator

import pytest

from tests.serve.processes import Apart


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    services = Apart(tmp_path_factory.mktemp("apart") / "data")
    try:
        services.start()
        yield services
    finally:
        services.stop()
