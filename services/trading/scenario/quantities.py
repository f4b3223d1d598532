"""Durations, percentages and prices as people write them in a scenario, and their exact units."""

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
#: A run has the ecosystem for itself, so that one that never ends keeps it from everybody.
MAX_DURATION = 7 * DAY
_MAX_DURATION_TEXT = 32
#: Of a percentage: a price that rises a hundredfold. More cannot be computed with in 64 bits.
_MAX_PPM = 10_000 * 10_000
_MAX_NUMBER = 32
#: Characters of a wrong value in a message.
_SHOWN = 40


def parse_duration(text: str) -> int:
    """``"1h30m"`` -> microseconds. ValueError says what was expected."""
    if (
        not isinstance(text, str)
        or len(text) > _MAX_DURATION_TEXT
        or not _DURATION.fullmatch(text.strip())
    ):
        raise ValueError(f"expected a duration such as 30s, 5m or 1h30m, got {shown(text)}")
    total = sum(Decimal(n) * _UNITS[unit] for n, unit in _PART.findall(text))
    if total > MAX_DURATION:
        raise ValueError(f"expected a duration of at most {MAX_DURATION // DAY}d, got {text}")
    return int(total)


def parse_percent(text: str) -> int:
    """``"-15%"`` -> -150000 ppm. ValueError says what was expected."""
    short = isinstance(text, str) and len(text) <= _MAX_NUMBER
    match = _PERCENT.fullmatch(text.strip()) if short else None
    if match is None:
        raise ValueError(f"expected a percentage such as -15%, got {shown(text)}")
    ppm = Decimal(match[1]) * 10_000
    if ppm != int(ppm):
        raise ValueError(f"expected a percentage with at most 4 decimals, got {text}")
    if abs(ppm) > _MAX_PPM:
        raise ValueError(f"expected a percentage from -10000% to 10000%, got {text}")
    return int(ppm)


def parse_price(text: str) -> int:
    """``"0.95"`` -> 95000000 units of 1e-8. ValueError says what was expected."""
    units = Decimal(0)
    if len(text) <= _MAX_NUMBER:
        with suppress(ArithmeticError, TypeError, ValueError):
            # Of 1e999999999 the exponent alone would not fit.
            units = Decimal(text).scaleb(8)
    if not (units.is_finite() and 0 < units < 10**18) or units != int(units):
        raise ValueError(f"expected a price above 0 such as 0.95, got {shown(text)}")
    return int(units)


def shown(value: Any) -> str:
    """A wrong value in a message: short, and as it was written."""
    text = repr(value[:_SHOWN]) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


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


def _text(pattern: str, example: str, longest: int) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "string", "pattern": pattern, "maxLength": longest, "examples": [example]}
    )


#: As near to MAX_DURATION as digits come; what is longer all the same is refused by the parser.
_DURATION_SCHEMA = _text(
    r"^(\d{1,9}(\.\d+)?ms|\d{1,6}(\.\d+)?s|\d{1,5}(\.\d+)?m|\d{1,3}(\.\d+)?h|[0-7](\.\d+)?d)+$",
    "5m",
    _MAX_DURATION_TEXT,
)
_PERCENT_SCHEMA = _text(r"^[+-]?\d+(\.\d+)?\s*%$", "-15%", _MAX_NUMBER)

Duration = Annotated[str, BeforeValidator(_duration), _DURATION_SCHEMA]
PositiveDuration = Annotated[str, BeforeValidator(_positive_duration), _DURATION_SCHEMA]
Percent = Annotated[str, BeforeValidator(_percent), _PERCENT_SCHEMA]
Price = Annotated[
    str,
    BeforeValidator(_price),
    WithJsonSchema({"type": ["string", "number"], "examples": ["0.95"]}),
]
