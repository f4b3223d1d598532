"""Durations, percentages and prices as people write them in a scenario, and their exact units."""

import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from trading.units import DAY, HOUR, MILLISECOND, MINUTE, SECOND

_UNITS = {"ms": MILLISECOND, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_PERCENT = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*%")
_MAX_DURATION = 366 * DAY


def parse_duration(text: str) -> int:
    """``"1h30m"`` -> microseconds. ValueError says what was expected."""
    if not isinstance(text, str) or len(text) > 32 or not _DURATION.fullmatch(text.strip()):
        raise ValueError(f"expected a duration such as 30s, 5m or 1h30m, got {shown(text)}")
    total = sum(Decimal(n) * _UNITS[unit] for n, unit in _PART.findall(text))
    if total > _MAX_DURATION:
        raise ValueError(f"expected a duration of at most 366d, got {text}")
    return int(total)


def parse_percent(text: str) -> int:
    """``"-15%"`` -> -150000 ppm. ValueError says what was expected."""
    match = _PERCENT.fullmatch(text.strip()) if isinstance(text, str) and len(text) < 32 else None
    if match is None:
        raise ValueError(f"expected a percentage such as -15%, got {shown(text)}")
    ppm = Decimal(match[1]) * 10_000
    if ppm != int(ppm):
        raise ValueError(f"expected a percentage with at most 4 decimals, got {text}")
    return int(ppm)


def parse_price(text: str) -> int:
    """``"0.95"`` -> 95000000 units of 1e-8. ValueError says what was expected."""
    try:
        value = Decimal(text)
    except (InvalidOperation, TypeError, ValueError):
        value = Decimal(-1)
    units = value.scaleb(8) if value.is_finite() else Decimal(-1)
    if not 0 < units < 10**18 or units != int(units):
        raise ValueError(f"expected a price above 0 such as 0.95, got {shown(text)}")
    return int(units)


def shown(value: Any) -> str:
    """A wrong value in a message: short, and as it was written."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."


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


def _text(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


_DURATION_SCHEMA = _text(r"^(\d+(\.\d+)?(ms|s|m|h|d))+$", "5m")

Duration = Annotated[str, BeforeValidator(_duration), _DURATION_SCHEMA]
PositiveDuration = Annotated[str, BeforeValidator(_positive_duration), _DURATION_SCHEMA]
Percent = Annotated[str, BeforeValidator(_percent), _text(r"^[+-]?\d+(\.\d+)?\s*%$", "-15%")]
Price = Annotated[
    str,
    BeforeValidator(_price),
    WithJsonSchema({"type": ["string", "number"], "examples": ["0.95"]}),
]
