"""Keeps the recorded prices that clients upload, so that scenarios from the network can name them.

The content of a recording is read again by scenarios only; no route returns it.
"""

import asyncio
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import Depends, FastAPI, HTTPException, Path, Request, Response

from trading.hosting.guard import max_body
from trading.hosting.store import JournalStore
from trading.scenario.names import NAME_PATTERN

#: Path of the routes, before the name of a recording.
PATH = "/recordings"
#: Bytes of the largest recording, and how many are kept.
MAX_BYTES = max_body(f"{PATH}/")
MAX_RECORDINGS = 50
#: Kinds of the documents in the store that have a recording's description and its content. They
#: are apart, because a list of all recordings must not read all contents.
_DESCRIPTION, _CONTENT = "recording", "recording-content"


class StoredRecording(msgspec.Struct, frozen=True):
    """An uploaded recording: its size in bytes, its SHA-256 in hex, and when it was stored."""

    name: str
    bytes: int
    sha256: str
    stored: str


class NotStored(ValueError):
    """A recording cannot be stored; the text says why."""


class UploadedRecordings:
    """The recordings that clients have uploaded, in ``store``.

    ``on_change`` is called after each change.
    """

    def __init__(self, store: JournalStore, on_change: Callable[[], None]) -> None:
        self._store = store
        self._on_change = on_change
        self._changing = asyncio.Lock()

    async def list_all(self) -> list[StoredRecording]:
        """Return all recordings by name."""
        stored = await asyncio.to_thread(self._store.documents, _DESCRIPTION)
        recordings = [_decode(body) for body in stored.values()]
        return sorted(recordings, key=lambda recording: recording.name)

    async def save(self, name: str, content: bytes) -> StoredRecording:
        """Store a recording, in the place of one with the same name. Raises NotStored, ValueError.

        NotStored is raised where too many are stored, ValueError for content that is no text.
        """
        try:
            has_text = bool(content.decode("utf-8-sig").strip())
        except UnicodeDecodeError as error:
            raise ValueError("not a text in UTF-8") from error
        if not has_text:
            raise ValueError("empty, expected CSV or JSON with prices")
        recording = StoredRecording(
            name,
            len(content),
            hashlib.sha256(content).hexdigest(),
            datetime.now(UTC).isoformat(timespec="seconds"),
        )
        async with self._changing:
            names = {stored.name for stored in await self.list_all()}
            if len(names) >= MAX_RECORDINGS and name not in names:
                raise NotStored(
                    f"{MAX_RECORDINGS} recordings are stored already; delete one with"
                    f" DELETE {PATH}/{{name}}, or replace one by using its name"
                )
            await asyncio.to_thread(self._store.put, _CONTENT, name, content)
            description = msgspec.json.encode(recording)
            await asyncio.to_thread(self._store.put, _DESCRIPTION, name, description)
            self._on_change()
        return recording

    async def remove(self, name: str) -> bool:
        """Remove a recording, and return whether there was one."""
        async with self._changing:
            if await asyncio.to_thread(self._store.document, _DESCRIPTION, name) is None:
                return False
            await asyncio.to_thread(self._store.remove, _DESCRIPTION, name)
            await asyncio.to_thread(self._store.remove, _CONTENT, name)
            self._on_change()
        return True

    def text_of(self, name: str) -> str | None:
        """Return the text of a recording, None if there is none. May block for the store.

        A recording that was not stored completely, because the process ended, counts as none.
        """
        description = self._store.document(_DESCRIPTION, name)
        content = self._store.document(_CONTENT, name)
        if description is None or content is None:
            return None
        if hashlib.sha256(content).hexdigest() != _decode(description).sha256:
            return None
        return content.decode("utf-8-sig")


def _decode(description: bytes) -> StoredRecording:
    return msgspec.json.decode(description, type=StoredRecording)


Name = Annotated[str, Path(pattern=NAME_PATTERN, description="Lower-case letters, digits and -.")]


def add_recording_routes(
    app: FastAPI, uploads: UploadedRecordings, require_chaos_token: Callable[[Request], None]
) -> None:
    """Add the routes that list, store and delete recordings."""
    # No docstrings here: FastAPI publishes those of routes as a part of the API.
    needs_token = [Depends(require_chaos_token)]

    @app.get(PATH, tags=["recordings"], summary="Uploaded recordings: name, size, SHA-256")
    async def list_recordings() -> list[dict[str, Any]]:
        return [msgspec.to_builtins(recording) for recording in await uploads.list_all()]

    @app.put(
        f"{PATH}/{{name}}",
        status_code=201,
        tags=["recordings"],
        summary="Store recorded prices, or replace them; scenarios name them with recording:",
        dependencies=needs_token,
        responses={
            401: {"description": "No token"},
            409: {"description": "Too many"},
            413: {"description": f"More than {MAX_BYTES} bytes"},
            422: {"description": "Not a text"},
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"text/csv": {"schema": {"type": "string", "maxLength": MAX_BYTES}}},
            }
        },
    )
    async def put_recording(name: Name, request: Request) -> dict[str, Any]:
        # A declared body would be read before the token is checked.
        content = await request.body()
        try:
            stored = await uploads.save(name, content)
        except NotStored as error:
            raise HTTPException(409, str(error)) from error
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        fields: dict[str, Any] = msgspec.to_builtins(stored)
        return fields

    @app.delete(
        f"{PATH}/{{name}}",
        status_code=204,
        tags=["recordings"],
        summary="Delete a recording; runs have its prices in their plan, and go on",
        dependencies=needs_token,
        responses={401: {"description": "No token"}, 404: {"description": "No such recording"}},
    )
    async def delete_recording(name: Name) -> Response:
        if not await uploads.remove(name):
            raise HTTPException(404, f"no recording {name}; GET {PATH} lists them")
        return Response(status_code=204)
