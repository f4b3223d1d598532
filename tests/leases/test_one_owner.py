"""Instances join, leave, are killed and are paused in a random order: no account ever has two
owners.
"""

import json
import random
from collections.abc import Iterator

import pytest
import redis

from tests.leases.instance import Instance, split, until
from tests.leases.worker import ACCOUNTS
from tests.redis_server import RedisServer

TTL = 0.8
STEPS = 16
MOST = 4


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as redis_server:
        yield redis_server


class Crowd:
    """A changing group of instances. The list ``log`` in Redis has all changes of leases, kills and
    pauses, in the order in which they took effect.
    """

    def __init__(self, url: str, client: "redis.Redis") -> None:
        self.members: list[Instance] = []
        self._url = url
        self._client = client
        self._joined = 0

    @property
    def awake(self) -> list[Instance]:
        """The members that are not paused."""
        return [i for i in self.members if not i.paused]

    def act(self, rng: random.Random) -> str:
        """Do one random act that is possible now, and return its name."""
        acts = ["join"] if len(self.members) < MOST else []
        if len(self.awake) > 1:
            acts += ["leave", "kill", "kill", "pause"]
        if any(i.paused for i in self.members):
            acts.append("resume")
        act = rng.choice(acts)
        if act == "join":
            self._joined += 1
            self.members.append(Instance(self._url, f"i{self._joined}", ttl=TTL, log=True))
            return act
        instance = rng.choice([i for i in self.members if i.paused == (act == "resume")])
        if act == "pause":
            instance.pause()
            self._log_stop(instance)
        elif act == "resume":
            instance.resume()
        else:
            self.members.remove(instance)
            if act == "leave":
                instance.leave()
            else:
                instance.kill()
                self._log_stop(instance)
        return act

    def _log_stop(self, instance: Instance) -> None:
        """Log that an instance has stopped: any later change of its leases comes after a pause."""
        self._client.rpush("log", json.dumps({"who": instance.name, "held": None}))


def check(lines: list[str]) -> int:
    """Return the number of acquisitions in a log. Raises AssertionError if two instances hold an
    account at the same time, or if a fencing number does not grow.
    """
    holding: dict[str, dict[str, int]] = {}
    newest = dict.fromkeys(ACCOUNTS, 0)
    acquired = 0
    for line in lines:
        entry = json.loads(line)
        who, held = entry["who"], entry["held"]
        before = holding.get(who, {})
        holding[who] = held or {}
        for account, fence in holding[who].items():
            if before.get(account) == fence:
                continue
            acquired += 1
            others = [o for o, has in holding.items() if o != who and account in has]
            assert not others, f"{account}: {who} has acquired what {others} hold"
            assert fence > newest[account], f"{account}: {fence} after {newest[account]}"
            newest[account] = fence
    return acquired


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_owner_at_most_whatever_happens(server: RedisServer, seed: int) -> None:
    rng = random.Random(seed)
    with server.client() as client:
        crowd = Crowd(server.url, client)
        try:
            acts = []
            for _ in range(STEPS):
                acts.append(crowd.act(rng))
                # Half of the acts happen while the instances still react to the one before.
                if rng.random() < 0.5 or not crowd.awake:
                    until(lambda: split(crowd.awake), within=60)
            until(lambda: split(crowd.awake), within=60)
        finally:
            for member in crowd.members:
                if member.alive:
                    member.kill()
        lines = [str(line) for line in client.lrange("log", 0, -1)]
    assert {"join", "kill", "pause"} <= set(acts)
    assert check(lines) > 2 * len(ACCOUNTS)


def test_the_check_sees_two_owners() -> None:
    def entry(who: str, **held: int) -> str:
        return json.dumps({"who": who, "held": {f"firm-{a}": f for a, f in held.items()}})

    assert check([entry("a", mm=1), entry("a"), entry("b", mm=2)]) == 2
    with pytest.raises(AssertionError, match="what"):
        check([entry("a", mm=1), entry("b", mm=2)])
    with pytest.raises(AssertionError, match="after"):
        check([entry("a", mm=2), entry("a"), entry("b", mm=2)])
