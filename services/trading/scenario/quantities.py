"""Parses the durations, percentages and prices that people write in a scenario.

The results are exact integers: simulated microseconds, parts per million, and units of 1e-8. The
types at the end of the module are for fields of pydantic models; these keep the text as it is, and
only check that it can be parsed.
"""

import re
from contextlib import suppress
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from trading.units import DAY, HOUR, MILLISECOND, MINUTE, SECOND

_UNITS = {"ms": MILLISECOND, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_PERCENT = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*%")
#: Microseconds. A run has the ecosystem for itself, so one without an end would block all others.
MAX_DURATION = 7 * DAY
_MAX_DURATION_TEXT = 32
#: The largest percentage in ppm, at which a price rises a hundredfold. Larger ones could overflow
#: 64 bits in later computations.
_MAX_PPM = 10_000 * 10_000
_MAX_NUMBER_TEXT = 32
#: Characters of an invalid value that a message quotes.
_MAX_QUOTED = 40


def parse_duration(text: str) -> int:
    """Return a duration such as ``"1h30m"`` in microseconds. Raises ValueError with a message."""
    if (
        not isinstance(text, str)
        or len(text) > _MAX_DURATION_TEXT
        or not _DURATION.fullmatch(text.strip())
    ):
        raise ValueError(f"expected a duration such as 30s, 5m or 1h30m, got {quoted(text)}")
    total = sum(Decimal(n) * _UNITS[unit] for n, unit in _PART.findall(text))
    if total > MAX_DURATION:
        raise ValueError(f"expected a duration of at most {MAX_DURATION // DAY}d, got {text}")
    return int(total)


def parse_percent(text: str) -> int:
    """Return a percentage in parts per million: ``"-15%"`` is -150000.

    Raises ValueError with a message.
    """
    short = isinstance(text, str) and len(text) <= _MAX_NUMBER_TEXT
    match = _PERCENT.fullmatch(text.strip()) if short else None
    if match is None:
        raise ValueError(f"expected a percentage such as -15%, got {quoted(text)}")
    ppm = Decimal(match[1]) * 10_000
    if ppm != int(ppm):
        raise ValueError(f"expected a percentage with at most 4 decimals, got {text}")
    if abs(ppm) > _MAX_PPM:
        raise ValueError(f"expected a percentage from -10000% to 10000%, got {text}")
    return int(ppm)


def parse_price(text: str) -> int:
    """Return a price in units of 1e-8: ``"0.95"`` is 95000000.

    Raises ValueError with a message.
    """
    units = Decimal(0)
    if len(text) <= _MAX_NUMBER_TEXT:
        with suppress(ArithmeticError, TypeError, ValueError):
            # The exponent of 1e999999999 would overflow.
            units = Decimal(text).scaleb(8)
    if not (units.is_finite() and 0 < units < 10**18) or units != int(units):
        raise ValueError(f"expected a price above 0 such as 0.95, got {quoted(text)}")
    return int(units)


def quoted(value: Any) -> str:
    """Return an invalid value for a message: as it was written, but shortened."""
    text = repr(value[:_MAX_QUOTED]) if isinstance(value, str) else str(value)
    return text if len(text) <= _MAX_QUOTED else text[: _MAX_QUOTED - 3] + "..."


def _duration(value: Any) -> Any:
    parse_duration(value)
    return value


def _positive_duration(value: Any) -> Any:
    if not parse_duration(value):
        raise ValueError("expected a duration above 0")
    return value


def _percent(value: Any) -> Any:
    parse_percent(value)
    return value


def _price(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"expected a price above 0 such as 0.95, got {value}")
    text = str(value)
    parse_price(text)
    return text


def _text_schema(pattern: str, example: str, max_length: int) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "string", "pattern": pattern, "maxLength": max_length, "examples": [example]}
    )


#: The pattern allows somewhat longer durations than MAX_DURATION; the parser refuses these.
_DURATION_SCHEMA = _text_schema(
    r"^(\d{1,9}(\.\d+)?ms|\d{1,6}(\.\d+)?s|\d{1,5}(\.\d+)?m|\d{1,3}(\.\d+)?h|[0-7](\.\d+)?d)+$",
    "5m",
    _MAX_DURATION_TEXT,
)
_PERCENT_SCHEMA = _text_schema(r"^[+-]?\d+(\.\d+)?\s*%$", "-15%", _MAX_NUMBER_TEXT)

Duration = Annotated[str, BeforeValidator(_duration), _DURATION_SCHEMA]
PositiveDuration = Annotated[str, BeforeValidator(_positive_duration), _DURATION_SCHEMA]
Percent = Annotated[str, BeforeValidator(_percent), _PERCENT_SCHEMA]
Price = Annotated[
    str,
    BeforeValidator(_price),
    WithJsonSchema({"type": ["string", "number"], "examples": ["0.95"]}),
]
