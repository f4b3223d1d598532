"""Fixtures of all lease tests."""

from collections.abc import Iterator

import pytest
import redis

from tests.redis_server import RedisServer


@pytest.fixture
def client(server: RedisServer) -> Iterator["redis.Redis"]:
    """A client of the module's Redis server, which is empty at first."""
    with server.client() as connection:
        connection.flushall()
        yield connection
