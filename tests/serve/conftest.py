"""Fixtures: the seven services as processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.processes import Apart


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    """Seven processes for all tests of a module."""
    with Apart(tmp_path_factory.mktemp("apart") / "data") as services:
        yield services


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Apart]:
    """Seven processes for one test."""
    with Apart(tmp_path / "data") as services:
        yield services
