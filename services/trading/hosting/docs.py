"""Serves ``/docs`` of every service: its OpenAPI document as a page, from our own files only.

The usual page loads its script from another host; it stays blank without the internet and under
our content security policy.
"""

import json
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import FileResponse

STATIC = Path(__file__).parent / "static"

_FILES = {
    "/docs": ("docs.html", "text/html"),
    "/docs/docs.js": ("docs.js", "text/javascript"),
    "/docs/docs.css": ("docs.css", "text/css"),
}

#: Responses of real services after a real run, written by ``python -m tools.examples``.
EXAMPLES = STATIC / "examples"
#: Example responses of the common routes: media type and content, by path.
_COMMON: dict[str, tuple[str, Any]] = {
    "/health": ("application/json", {"status": "ok", "service": "exchange"}),
    "/ready": ("application/json", {"ready": True, "service": "exchange", "problem": None}),
    "/journal/head": (
        "application/json",
        {"session": "2026-01-05T00:00:00+00:00", "number": 1, "length": 4711, "hash": "5f0c..."},
    ),
    "/metrics": ("text/plain", 'trading_ready{service="exchange"} 1.0\n'),
    "/journal": (
        "application/x-ndjson",
        '{"hash":"5f0c...","entry":[1,1767571200000000,"in:Start",{}]}\n',
    ),
}


def add_docs(app: FastAPI, service: str) -> None:
    """Add the page and its files to ``app``, and examples to its OpenAPI document.

    ``app`` must have been created with ``docs_url=None``.
    """
    openapi = app.openapi

    def with_examples() -> dict[str, Any]:
        if app.openapi_schema is None:
            _add_examples(openapi()["paths"], service)
        return openapi()

    app.openapi = with_examples  # type: ignore[method-assign]
    for path, (name, media_type) in _FILES.items():
        _add_file(app, path, STATIC / name, media_type)


def _add_file(app: FastAPI, path: str, file: Path, media_type: str) -> None:
    async def answer() -> FileResponse:
        return FileResponse(file, media_type=media_type)

    app.add_api_route(path, answer, methods=["GET"], include_in_schema=False)


def _add_examples(paths: dict[str, Any], service: str) -> None:
    for path, (media_type, example) in _COMMON.items():
        responses = paths.get(path, {}).get("get", {}).get("responses", {})
        content = responses.get("200", {}).setdefault("content", {})
        content.setdefault(media_type, {}).setdefault("example", example)
    file = EXAMPLES / f"{service}.json"
    if not file.exists():
        return
    for operation, example in json.loads(file.read_text(encoding="utf-8")).items():
        method, path = operation.split(" ")
        for code, response in paths.get(path, {}).get(method, {}).get("responses", {}).items():
            if code.startswith("2"):
                for media in response.setdefault("content", {"application/json": {}}).values():
                    media.setdefault("example", example)
