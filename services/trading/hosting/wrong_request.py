"""Describes what is wrong with a request without repeating what was sent.

Not everything that is sent can be encoded again: lists nested too deeply for any encoder, numbers
that JSON does not have, half a UTF-16 pair. An answer that repeated it would become a status 500.
"""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

#: Greatest number of mistakes in an answer, and of characters in each of their parts.
_MAX_MISTAKES, _MAX_LENGTH = 20, 200


def add_wrong_request(app: FastAPI) -> None:
    """Let ``app`` answer 422 as its OpenAPI document says: with place, message and type."""

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"detail": describe_mistakes(error)}, 422)


def describe_mistakes(error: RequestValidationError) -> list[dict[str, Any]]:
    """Return ``loc``, ``msg`` and ``type`` of the first mistakes, in a form that can be encoded."""
    return [
        {
            "loc": [
                part if isinstance(part, int) else _encodable(str(part)) for part in mistake["loc"]
            ],
            "msg": _encodable(mistake["msg"]),
            "type": mistake["type"],
        }
        for mistake in error.errors()[:_MAX_MISTAKES]
    ]


def _encodable(text: str) -> str:
    return text[:_MAX_LENGTH].encode("utf-8", "replace").decode()
