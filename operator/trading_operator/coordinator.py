"""The test coordinator, as the operator asks it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec

from trading.runtime.tasks import BackgroundTasks
from trading.scenario.result import Verdict
from trading_operator.resource import Scenario

#: Seconds for an answer; a run begins with a new session of all services.
_PATIENCE = 15.0
#: Seconds in which an open stream says something: it tells time and P&L all along.
_SILENCE = 20.0


class Unreachable(Exception):
    """It gives no answer, or one that says nothing of the run."""


class Refused(Exception):
    """It will never run this scenario; the text says why."""


class Busy(Exception):
    """Another run has not ended; the text names it."""


#: Answers that a later try may not get: a token that is being changed, a proxy, a service that is
#: not there. Any other that is no success stays the same however often it is asked.
_TEMPORARY = frozenset({401, 408, 425, 429, 502, 503, 504})


class Coordinator:
    """``token``: a file, read at every request: it may be changed while the operator runs."""

    def __init__(self, url: str, token: Path) -> None:
        self._token = token
        self._client = httpx.AsyncClient(base_url=url, timeout=_PATIENCE, trust_env=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def known(self, run_id: str) -> bool:
        """One that was given up for another session is not. Raises Unreachable."""
        answer = await self._ask("GET", f"/runs/{run_id}")
        if answer.status_code == 404:
            return False
        if not answer.is_success:
            raise Unreachable(_detail(answer))
        try:
            found = answer.json()
            return bool(found["verdict"]) or found["phase"] != "Error"
        except (ValueError, KeyError, TypeError) as error:
            raise Unreachable(f"its answer cannot be read: {_text(error)}") from error

    async def begin(self, scenario: Scenario) -> None:
        """Nothing where it has begun already. Raises Refused, Busy, Unreachable."""
        body = {"text": scenario.text, "id": scenario.run_id, "network": "platform"}
        answer = await self._ask("POST", "/runs", body)
        if answer.is_success:
            return
        if answer.status_code == 409:
            raise Busy(_detail(answer))
        if answer.status_code in _TEMPORARY:
            raise Unreachable(_detail(answer))
        raise Refused(_detail(answer))

    async def abort(self, run_id: str, reason: str) -> None:
        """Nothing where it has ended. Raises Unreachable."""
        answer = await self._ask("POST", f"/runs/{run_id}/abort", {"reason": reason})
        if not answer.is_success and answer.status_code not in (404, 409):
            raise Unreachable(_detail(answer))

    async def events(self, run_id: str, after: str) -> AsyncIterator[tuple[str, str, Any]]:
        """``(id, kind, data)``; ends with the verdict, or with the connection. Raises
        Unreachable.
        """
        headers = {"Last-Event-ID": after}
        path = f"/runs/{run_id}/events"
        try:
            async with self._client.stream(
                "GET", path, headers=headers, timeout=_SILENCE
            ) as answer:
                if not answer.is_success:
                    raise Unreachable(f"{path}: {answer.status_code}")
                event, kind = "", ""
                async for line in answer.aiter_lines():
                    name, _, value = line.partition(": ")
                    if name == "id":
                        event = value
                    elif name == "event":
                        kind = value
                    elif name == "data":
                        yield event, kind, json.loads(value)
                        event, kind = "", ""
        except (httpx.HTTPError, ValueError) as error:
            raise Unreachable(_text(error)) from error

    async def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> httpx.Response:
        try:
            token = await asyncio.to_thread(self._token.read_text, encoding="utf-8")
            headers = {"Authorization": f"Bearer {token.strip()}"}
            return await self._client.request(method, path, json=body, headers=headers)
        except (httpx.HTTPError, OSError) as error:
            raise Unreachable(_text(error)) from error


class Following:
    """A run's events as they come, in the background. ``changed`` is called with each that says
    something; they are all read again after a restart of the operator, so that none is kept.
    """

    def __init__(self, coordinator: Coordinator, run_id: str, changed: Callable[[], None]) -> None:
        self.events: list[dict[str, Any]] = []
        self.verdict: Verdict | None = None
        self.problem = ""
        self._coordinator = coordinator
        self._run_id = run_id
        self._changed = changed
        self._last = "0"
        self._tasks = BackgroundTasks()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, or begin again after a failure that nobody has foreseen."""
        if self.verdict is None and (self._task is None or self._task.done()):
            self._task = self._tasks.start(f"following run {self._run_id}", self._follow())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _follow(self) -> None:
        while self.verdict is None:
            try:
                async for event, kind, data in self._coordinator.events(self._run_id, self._last):
                    self._take(event, kind, data)
            except Unreachable as error:
                self.problem = str(error)
                self._changed()
            except (TypeError, ValueError, AttributeError) as error:
                # Of another version, perhaps: it is asked again, and nothing is made of it.
                self.problem = f"its events cannot be read: {_text(error)}"
                self._changed()
            await asyncio.sleep(0.5)

    def _take(self, event: str, kind: str, data: Any) -> None:
        self.problem = ""
        self._last = event or self._last
        if kind == "verdict":
            self.verdict = msgspec.convert(data, Verdict)
        elif kind in ("phase", "fault"):
            self.events.append({**data, "kind": kind})
        else:
            return
        self._changed()


def _detail(answer: httpx.Response) -> str:
    """What it says is wrong; where it does not say, what it answered."""
    try:
        said = answer.json()["detail"]
    except (ValueError, KeyError, TypeError, RecursionError):
        status = f"{answer.status_code} {answer.reason_phrase}"
        return f"the test coordinator answered {status}: {answer.text[:200]}"
    return said if isinstance(said, str) else json.dumps(said)[:1000]


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__
