"""Sends an HTTP request to every process of every service, and collects the responses."""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

import httpx

from trading.links import http
from trading.links.instances import INSTANCE_HEADER, instance_name, instance_urls
from trading.links.peers import Peers
from trading.topology import SERVICES

#: Wall seconds for one response.
_TIMEOUT = 5.0


class ServiceResponse(NamedTuple):
    """The response of one instance of a service.

    ``name`` is the instance's, as its response says, or the service's where none came. ``problem``
    says why the request failed, and is empty if it succeeded. ``body`` is JSON, and ``status`` that
    of HTTP, or 0 where no response came.
    """

    service: str
    name: str
    problem: str
    body: bytes = b""
    status: int = 0


class AllServices:
    """Sends requests with ``headers`` to all processes of all services other than ``caller``."""

    def __init__(self, peers: Peers, caller: str, headers: Mapping[str, str]) -> None:
        self._peers = peers
        self._services = [name for name in SERVICES if name != caller]
        self._headers = headers

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        params: Mapping[str, str | int] | None = None,
    ) -> list[ServiceResponse]:
        """Return one response for each address of each service, in the services' order, after one
        for each service that has no address. A request that fails raises nothing.
        """
        async with http.client(timeout=_TIMEOUT, headers=self._headers) as client:

            async def send(service: str, url: str) -> ServiceResponse:
                try:
                    response = await client.request(method, url + path, content=body, params=params)
                except httpx.HTTPError as error:
                    problem = f"{url}: {error or type(error).__name__}"
                    return ServiceResponse(service, service, problem)
                name = instance_name(service, response.headers.get(INSTANCE_HEADER, ""))
                problem = ""
                if not response.is_success:
                    problem = f"{response.status_code} {response.text[:200]}"
                return ServiceResponse(
                    service, name, problem, response.content, response.status_code
                )

            urls = [(name, await instance_urls(self._peers, name)) for name in self._services]
            responses = await asyncio.gather(
                *(send(name, url) for name, own_urls in urls for url in own_urls)
            )
        missing = [
            ServiceResponse(name, name, "no address is known for it")
            for name, own_urls in urls
            if not own_urls
        ]
        return [*missing, *responses]


def problems(responses: list[ServiceResponse]) -> dict[str, str]:
    """Return the problems of the failed requests, by name of the instance."""
    return {response.name: response.problem for response in responses if response.problem}
