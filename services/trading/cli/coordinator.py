"""A client of the test coordinator of a running ecosystem, for commands."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trading.cli.wrong_input import WrongInput


class Coordinator:
    """A client of the test coordinator's API at ``url``.

    The token is CHAOS_TOKEN, or else the one stored in the directory ``data``, or else that of a
    Compose deployment in the current directory. Methods raise WrongInput with the error that the
    coordinator returned.
    """

    def __init__(self, url: str, data: Path) -> None:
        import httpx

        headers = {}
        if token := os.environ.get("CHAOS_TOKEN") or _stored_token(data):
            headers["Authorization"] = f"Bearer {token}"
        self.url = url
        self._client = httpx.Client(base_url=url, headers=headers, timeout=30)

    def get(self, path: str) -> Any:
        """Return the decoded response to a GET request."""
        return self._request("GET", path)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the decoded response to a POST request with ``body`` as JSON."""
        return self._request("POST", path, body)

    def put(self, path: str, content: bytes) -> Any:
        """Return the decoded response to a PUT request with ``content``."""
        return self._request("PUT", path, content=content)

    def delete(self, path: str) -> None:
        """Send a DELETE request."""
        self._request("DELETE", path)

    def events(self, run_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield ``(kind, data)`` of every event of a run up to its verdict.

        After a lost connection it reconnects and continues after the last event; after 30 failures
        in a row it raises WrongInput.
        """
        import time

        import httpx
        from httpx_sse import connect_sse

        last_id, failures = "0", 0
        while True:
            try:
                headers = {"Last-Event-ID": last_id}
                path = f"/runs/{run_id}/events"
                with connect_sse(self._client, "GET", path, headers=headers, timeout=60) as source:
                    if source.response.status_code != 200:
                        raise WrongInput(f"no run {run_id} at {self.url}")
                    for event in source.iter_sse():
                        # httpx-sse also yields events without data, which browsers ignore.
                        if not event.data:
                            continue
                        failures = 0
                        last_id = event.id or last_id
                        yield event.event, event.json()
                        if event.event == "verdict":
                            return
            except httpx.HTTPError as error:
                failures += 1
                if failures > 30:
                    raise WrongInput(f"{self.url}: connection lost: {error}") from error
            time.sleep(1)

    def _deployment_token(self) -> str:
        """Return the token of a Compose deployment here; empty if another token is in use."""
        from trading.deploy.token import chaos_token

        return "" if "Authorization" in self._client.headers else chaos_token(Path.cwd())

    def _request(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        content: bytes | None = None,
    ) -> Any:
        import httpx

        try:
            response = self._client.request(method, path, json=body, content=content)
            if response.status_code == 401 and (token := self._deployment_token()):
                self._client.headers["Authorization"] = f"Bearer {token}"
                response = self._client.request(method, path, json=body, content=content)
        except httpx.HTTPError as error:
            raise WrongInput(
                f"no test coordinator at {self.url} ({error}); start one with: trading up"
            ) from error
        if response.is_success:
            return response.json() if response.content else None
        try:
            detail = response.json()["detail"]
        except (ValueError, KeyError):
            detail = response.text[:200]
        if response.status_code == 401:
            detail = f"{detail}; set CHAOS_TOKEN, or --data to where trading up keeps its data"
        raise WrongInput(detail if isinstance(detail, str) else json.dumps(detail))


def _stored_token(data: Path) -> str:
    from trading.server.credentials import read_credentials

    return str(read_credentials(data).get("chaos_token", ""))
