"""What is wrong with a request, said without repeating what was sent.

What was sent need not be sayable: lists in each other deeper than any encoder goes, numbers that
JSON has none for, half of a UTF-16 pair. An answer that repeats it would be a 500.
"""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

#: Mistakes that are told, and characters of each part of one.
_MOST, _LONGEST = 20, 200


def add_wrong_request(app: FastAPI) -> None:
    """Answer 422 in the form that the OpenAPI document promises: place, message and type."""

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"detail": mistakes(error)}, 422)


def mistakes(error: RequestValidationError) -> list[dict[str, Any]]:
    """Return ``loc``, ``msg`` and ``type`` of the first ones, safe to encode."""
    return [
        {
            "loc": [part if isinstance(part, int) else _plain(str(part)) for part in one["loc"]],
            "msg": _plain(one["msg"]),
            "type": one["type"],
        }
        for one in error.errors()[:_MOST]
    ]


def _plain(text: str) -> str:
    return text[:_LONGEST].encode("utf-8", "replace").decode()
