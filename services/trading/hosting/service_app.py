"""The HTTP app of a service, with what its routes and the server share."""

import asyncio
from collections.abc import Callable

from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry
from starlette.types import Scope

from trading.hosting.access import Access
from trading.hosting.host import Host
from trading.hosting.origins import host_names

#: Gets the ASGI scope of an answered request, its status, and the wall seconds that it took.
RequestObserver = Callable[[Scope, int, float], None]


class AppContext:
    """What the app of ``service`` on ``host`` is built from.

    ``access`` decides who may do what, and ``hosts`` are the names under which the service may be
    requested. ``instance`` is the number of this process among those of one service, empty for the
    first. ``may_read_journal`` raises HTTPException unless a request may read journals, which
    contain everything.

    ``registry`` takes metrics, ``request_observers`` are called for every answered request, and
    the event ``stopping`` is set when the server shuts down.
    """

    def __init__(
        self,
        service: str,
        host: Host,
        *,
        access: Access | None = None,
        hosts: frozenset[str] | None = None,
        instance: str = "",
        may_read_journal: Callable[[Access, Request], None] = Access.may_read,
    ) -> None:
        self.service = service
        self.host = host
        self.access = access or Access()
        self.hosts = host_names(service, ()) if hosts is None else hosts
        self.instance = instance
        self.registry = CollectorRegistry()
        self.request_observers: list[RequestObserver] = []
        self.stopping = asyncio.Event()
        self._may_read_journal = may_read_journal
        self._shutdown_hooks: list[Callable[[], None]] = []

    def may_read_journal(self, request: Request) -> None:
        """Raise HTTPException unless the request may read journals."""
        self._may_read_journal(self.access, request)

    def on_shutdown(self, hook: Callable[[], None]) -> None:
        """Call ``hook`` when the server shuts down, to end streams."""
        self._shutdown_hooks.append(hook)

    def begin_shutdown(self) -> None:
        """End all streams, because the server shuts down."""
        self.stopping.set()
        for hook in self._shutdown_hooks:
            hook()


class ServiceApp(FastAPI):
    """The app of a service. Its ``context`` replaces Starlette's untyped ``state``."""

    def __init__(self, context: AppContext, *, title: str, description: str) -> None:
        super().__init__(
            title=title, description=description, version="1", docs_url=None, redoc_url=None
        )
        self.context = context
