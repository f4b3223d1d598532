"""Structured logs: one JSON object a line, with the ids of the request that was being served."""

import json
import logging
import re
import sys
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import UTC, datetime

from pydantic import BaseModel, SecretStr

#: The id of the request that is being served, and that of its W3C trace.
request_id: ContextVar[str] = ContextVar("request_id", default="")
trace_id: ContextVar[str] = ContextVar("trace_id", default="")

#: Least length of a secret that is redacted: shorter ones occur in ordinary words.
MIN_SECRET = 6
REDACTED = "[redacted]"

_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_PASSWORD = re.compile(r"://[^/@\s]*?:([^/@\s]+)@|password=(?:'((?:[^'\\]|\\.)*)'|(\S+))")


class JsonFormatter(logging.Formatter):
    """Formats log records as JSON, and replaces ``secrets`` wherever they occur in a line.

    Secrets with fewer than MIN_SECRET characters are not replaced.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        long_enough = {secret for secret in secrets if len(secret) >= MIN_SECRET}
        forms = long_enough | {json.dumps(secret)[1:-1] for secret in long_enough}
        longest_first = "|".join(map(re.escape, sorted(forms, key=len, reverse=True)))
        self._pattern = re.compile(longest_first) if longest_first else None

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line of JSON."""
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
        line |= {k: v for k, v in vars(record).items() if k not in _STANDARD_FIELDS}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        text = json.dumps(line, default=str)
        return self._pattern.sub(REDACTED, text) if self._pattern is not None else text


def configure(level: str, secrets: Iterable[str] = ()) -> None:
    """Send every log record to standard error as JSON, with ``secrets`` redacted."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def secrets_of(settings: BaseModel) -> list[str]:
    """Return the values of all secret settings, and the passwords inside them."""
    values: list[str] = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            text = value.get_secret_value()
            passwords = (group for match in _PASSWORD.findall(text) for group in match if group)
            values += [text, *passwords]
    return values
