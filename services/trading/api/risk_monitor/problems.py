"""Errors of the risk monitor's API. All have one form, `{"detail": "what is wrong, and what to
do"}`.
"""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from trading.hosting.wrong_request import describe_mistakes


# The body of every error. A docstring would appear in the OpenAPI document.
class Problem(BaseModel):
    detail: str = Field(description="What is wrong, for people.")


#: Status -> description and example of an error.
_EXAMPLES = {
    401: ("No token", "needs 'Authorization: Bearer' with RISK_TOKEN"),
    404: ("There is no such thing", "no alert drawdown/portfolio/9; GET /api/alerts lists them"),
    409: ("It is too late for that", "alert drawdown/portfolio/1 is resolved"),
    422: ("Not as it must be", "by: Field required"),
    429: ("Too many wrong tokens", "too many wrong tokens from 10.0.0.7; try again in 42 s"),
    503: ("Not now", "not acknowledged: journal: the disk is full"),
}


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the descriptions of these error statuses, for `responses` of a route."""
    return {
        status: {
            "model": Problem,
            "description": _EXAMPLES[status][0],
            "content": {"application/json": {"example": {"detail": _EXAMPLES[status][1]}}},
        }
        for status in statuses
    }


def add_error_handler(app: FastAPI) -> None:
    """Answer invalid requests with a readable text that does not repeat what was sent."""

    @app.exception_handler(RequestValidationError)
    async def on_invalid_request(request: Request, error: RequestValidationError) -> JSONResponse:
        text = "; ".join(f"{_where(e['loc'])}: {e['msg']}" for e in describe_mistakes(error))
        return JSONResponse({"detail": text}, 422)


def _where(location: list[Any]) -> str:
    return ".".join(str(part)[:60] for part in location[1:]) or str(location[0])
