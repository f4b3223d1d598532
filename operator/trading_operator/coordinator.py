"""The operator's client of the test coordinator's HTTP API.

Coordinator sends the requests; RunEventStream follows the server-sent events of one run in the
background and reconnects after each failure.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
from httpx_sse import aconnect_sse

from trading.messages.chaos import FaultStep
from trading.runtime.tasks import BackgroundTasks
from trading.scenario.result import Phase, Verdict
from trading_operator.resource import Scenario

#: Seconds to wait for a response. The start of a run opens a new session in all services.
_TIMEOUT = 15.0
#: Seconds without data after which a stream counts as broken: it sends time and P&L all along.
_STREAM_TIMEOUT = 20.0
#: Seconds between two connections of a stream.
_RECONNECT_DELAY = 0.5


class Unreachable(Exception):
    """The coordinator does not respond, or its response says nothing about the run."""


class Refused(Exception):
    """The coordinator will never run this scenario; the text says why."""


class Busy(Exception):
    """Another run has not ended yet; the text names it."""


#: Status codes after which a retry may succeed: a token is being rotated, a proxy failed, or the
#: service is not up. A retry after any other error would get the same response.
_TEMPORARY = frozenset({401, 408, 425, 429, 502, 503, 504})


class Coordinator:
    """A client of the coordinator at ``url``.

    ``token`` is a file with the chaos token. It is read for every request, so that it may be
    rotated while the operator runs.
    """

    def __init__(self, url: str, token: Path) -> None:
        self._token = token
        self._client = httpx.AsyncClient(base_url=url, timeout=_TIMEOUT, trust_env=False)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def has_run(self, run_id: str) -> bool:
        """Return whether the coordinator has the run. A run that was given up for another session
        does not count. Raises Unreachable.
        """
        response = await self._request("GET", f"/runs/{run_id}")
        if response.status_code == 404:
            return False
        if not response.is_success:
            raise Unreachable(_detail(response))
        try:
            run = response.json()
            return bool(run["verdict"]) or run["phase"] != Phase.ERROR
        except (ValueError, KeyError, TypeError) as error:
            raise Unreachable(f"its answer cannot be read: {_text(error)}") from error

    async def start(self, scenario: Scenario) -> None:
        """Start the run of ``scenario``. Do nothing if it exists. Raises Refused, Busy,
        Unreachable.
        """
        body = {"text": scenario.text, "id": scenario.run_id, "network": "platform"}
        response = await self._request("POST", "/runs", body)
        if response.is_success:
            return
        if response.status_code == 409:
            raise Busy(_detail(response))
        if response.status_code in _TEMPORARY:
            raise Unreachable(_detail(response))
        raise Refused(_detail(response))

    async def abort(self, run_id: str, reason: str) -> None:
        """Abort a run. Do nothing if it has ended. Raises Unreachable."""
        response = await self._request("POST", f"/runs/{run_id}/abort", {"reason": reason})
        if not response.is_success and response.status_code not in (404, 409):
            raise Unreachable(_detail(response))

    async def events(self, run_id: str, after: str) -> AsyncIterator[tuple[str, str, Any]]:
        """Yield ``(id, kind, data)`` of each event of a run with an id above ``after``, until the
        verdict or until the connection ends. Raises Unreachable.
        """
        headers = {"Last-Event-ID": after}
        path = f"/runs/{run_id}/events"
        try:
            async with aconnect_sse(
                self._client, "GET", path, headers=headers, timeout=_STREAM_TIMEOUT
            ) as source:
                if not source.response.is_success:
                    raise Unreachable(f"{path}: {source.response.status_code}")
                async for event in source.aiter_sse():
                    # httpx-sse also yields events without data, which browsers ignore.
                    if event.data:
                        yield event.id, event.event, event.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unreachable(_text(error)) from error

    async def _request(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> httpx.Response:
        try:
            token = await asyncio.to_thread(self._token.read_text, encoding="utf-8")
            headers = {"Authorization": f"Bearer {token.strip()}"}
            return await self._client.request(method, path, json=body, headers=headers)
        except (httpx.HTTPError, OSError) as error:
            raise Unreachable(_text(error)) from error


class RunEventStream:
    """Follows the events of one run in the background.

    ``events`` has the phases and the steps of faults so far; ``verdict`` is None until the run has
    ended; ``problem`` says why the stream is broken, or is empty. ``changed`` is called after each
    of these changes. Nothing is stored: after a restart of the operator all events are read again.
    """

    def __init__(self, coordinator: Coordinator, run_id: str, changed: Callable[[], None]) -> None:
        self.events: list[dict[str, Any]] = []
        self.verdict: Verdict | None = None
        self.problem = ""
        self._coordinator = coordinator
        self._run_id = run_id
        self._changed = changed
        self._last_event_id = "0"
        self._tasks = BackgroundTasks()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to follow the run, or start again after the background task has failed."""
        if self.verdict is None and (self._task is None or self._task.done()):
            self._task = self._tasks.start(f"following run {self._run_id}", self._follow())

    async def stop(self) -> None:
        """Stop following the run, and wait until the background task has ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _follow(self) -> None:
        while self.verdict is None:
            try:
                async for event_id, kind, data in self._coordinator.events(
                    self._run_id, self._last_event_id
                ):
                    self._on_event(event_id, kind, data)
            except Unreachable as error:
                self.problem = str(error)
                self._changed()
            except (TypeError, ValueError, AttributeError) as error:
                # The coordinator may be of another version: ignore the event, and reconnect.
                self.problem = f"its events cannot be read: {_text(error)}"
                self._changed()
            await asyncio.sleep(_RECONNECT_DELAY)

    def _on_event(self, event_id: str, kind: str, data: Any) -> None:
        self.problem = ""
        self._last_event_id = event_id or self._last_event_id
        if kind == "verdict":
            self.verdict = msgspec.convert(data, Verdict)
        elif kind == "phase":
            self.events.append({**data, "kind": kind, "text": Phase(data.get("text"))})
        elif kind == "fault":
            self.events.append({**data, "kind": kind, "step": FaultStep(data.get("step"))})
        else:
            return
        self._changed()


def _detail(response: httpx.Response) -> str:
    """Return the error detail of a response, or its status and text if it has none."""
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError, RecursionError):
        status = f"{response.status_code} {response.reason_phrase}"
        return f"the test coordinator answered {status}: {response.text[:200]}"
    return detail if isinstance(detail, str) else json.dumps(detail)[:1000]


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__
