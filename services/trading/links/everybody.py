"""Asking every process of every service something over HTTP."""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

import httpx

from trading.links import http
from trading.links.instances import INSTANCE, addresses, name_of
from trading.links.peers import Peers
from trading.topology import SERVICES

#: Wall seconds for one answer.
_PATIENCE = 5.0


class Answer(NamedTuple):
    """``name``: of the instance, as it says itself; the service's where nobody has answered.
    ``problem``: why there is no good answer; empty: there is one. ``body``: its JSON. ``status``:
    of HTTP, 0 where nobody has answered.
    """

    service: str
    name: str
    problem: str
    body: bytes = b""
    status: int = 0


class Everybody:
    """All processes of all services but ``asking``; ``headers`` go with every request."""

    def __init__(self, peers: Peers, asking: str, headers: Mapping[str, str]) -> None:
        self._peers = peers
        self._services = [name for name in SERVICES if name != asking]
        self._headers = headers

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        params: Mapping[str, str | int] | None = None,
    ) -> list[Answer]:
        """Return one answer for each address of each service, in the services' order, and one
        for a service that has no address.
        """
        async with http.client(timeout=_PATIENCE, headers=self._headers) as client:

            async def one(service: str, url: str) -> Answer:
                try:
                    got = await client.request(method, url + path, content=body, params=params)
                except httpx.HTTPError as error:
                    return Answer(service, service, f"{url}: {error or type(error).__name__}")
                name = name_of(service, got.headers.get(INSTANCE, ""))
                problem = "" if got.is_success else f"{got.status_code} {got.text[:200]}"
                return Answer(service, name, problem, got.content, got.status_code)

            known = [(name, await addresses(self._peers, name)) for name in self._services]
            found = await asyncio.gather(*(one(n, url) for n, urls in known for url in urls))
        missing = [Answer(n, n, "no address is known for it") for n, urls in known if not urls]
        return [*missing, *found]


def problems(answers: list[Answer]) -> dict[str, str]:
    """By name of an instance: why it gave no good answer."""
    return {answer.name: answer.problem for answer in answers if answer.problem}
