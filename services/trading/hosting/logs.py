"""Structured logs: one JSON object a line, with the request that it belongs to."""

import json
import logging
import re
import sys
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import UTC, datetime

from pydantic import BaseModel, SecretStr

#: The id of the request that is being served, and of the W3C trace that it is part of.
request_id: ContextVar[str] = ContextVar("request_id", default="")
trace_id: ContextVar[str] = ContextVar("trace_id", default="")

#: Shorter ones would be found in ordinary words.
MIN_SECRET = 6
REDACTED = "[redacted]"

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_PASSWORD = re.compile(r"://[^/@\s]*?:([^/@\s]+)@|password=(?:'((?:[^'\\]|\\.)*)'|(\S+))")


class JsonFormatter(logging.Formatter):
    """``secrets``: what must not get out, wherever in a line it stands."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets: set[str] = set()
        self._found: re.Pattern[str] | None = None
        self.hide(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """More of them. Those with fewer than MIN_SECRET characters are passed over."""
        for secret in secrets:
            if len(secret) >= MIN_SECRET:
                self._secrets |= {secret, json.dumps(secret)[1:-1]}
        longest_first = sorted(self._secrets, key=len, reverse=True)
        if longest_first:
            self._found = re.compile("|".join(map(re.escape, longest_first)))

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request := request_id.get():
            line["request_id"] = request
        if trace := trace_id.get():
            line["trace_id"] = trace
        line |= {k: v for k, v in vars(record).items() if k not in _OWN}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        text = json.dumps(line, default=str)
        return self._found.sub(REDACTED, text) if self._found is not None else text


def configure(level: str, secrets: Iterable[str] = ()) -> None:
    """Send every log record to standard error as JSON, without the secrets."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def hide(secrets: Iterable[str]) -> None:
    """Secrets that became known after :func:`configure`."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, JsonFormatter):
            handler.formatter.hide(secrets)


def secrets_of(settings: BaseModel) -> list[str]:
    """The values of all secret settings, and the passwords inside them."""
    found: list[str] = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            text = value.get_secret_value()
            passwords = (group for match in _PASSWORD.findall(text) for group in match if group)
            found += [text, *passwords]
    return found
