"""Serves ``/docs`` of every service: its OpenAPI document as a page, and who may send a request.

The page is Swagger UI, from ``static/vendor``: FastAPI's own page loads it from another host, and
stays blank without the internet and under our content security policy. ``static/docs.js`` adds what
Swagger UI cannot know: how requests to the exchange are signed.
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


#: The security schemes that operations name. Those that answer 401 need a token; the exchange's
#: own need an API key and a signature.
_SECURITY_SCHEMES: dict[str, dict[str, str]] = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "READ_TOKEN, RISK_TOKEN or CHAOS_TOKEN, as the operation says.",
    },
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-MBX-APIKEY"},
    "signature": {
        "type": "apiKey",
        "in": "query",
        "name": "signature",
        "description": "HMAC-SHA256 of the other parameters with the API secret, in hex. The page"
        " `/docs` takes the secret here, signs each request with it, and does not send it.",
    },
}


def add_docs(app: FastAPI, service: str) -> None:
    """Add the page and its files to ``app``, and examples and security to its OpenAPI document.

    ``app`` must have been created with ``docs_url=None``.
    """
    openapi = app.openapi

    def completed() -> dict[str, Any]:
        if app.openapi_schema is None:
            _add_examples(openapi()["paths"], service)
            _add_security(openapi())
        return openapi()

    app.openapi = completed  # type: ignore[method-assign]
    for path, (name, media_type) in _FILES.items():
        _add_file(app, path, STATIC / name, media_type)


def _add_file(app: FastAPI, path: str, file: Path, media_type: str) -> None:
    async def answer() -> FileResponse:
        return FileResponse(file, media_type=media_type)

    app.add_api_route(path, answer, methods=["GET"], include_in_schema=False)


def _add_security(document: dict[str, Any]) -> None:
    named: set[str] = set()
    for item in document["paths"].values():
        for operation in item.values():
            if "401" in operation["responses"]:
                operation["security"] = [{"token": []}]
            named.update(*operation.get("security", ()))
    document["components"]["securitySchemes"] = {
        name: scheme for name, scheme in _SECURITY_SCHEMES.items() if name in named
    }


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
            if code.startswith("2") and code != "204":
                for media in response.setdefault("content", {"application/json": {}}).values():
                    media.setdefault("example", example)
