"""Typed limits: how they are written, compared and displayed."""

import re
from decimal import Decimal, InvalidOperation

import msgspec

from trading.units import (
    DAY,
    HOUR,
    MILLISECOND,
    MINUTE,
    PPM,
    SECOND,
    format_duration,
    format_ppm,
    format_units,
    parse_units,
)

#: Units of a limit. RATIO is stored in ppm ("2 %"); so is BASIS_POINTS, which is displayed in basis
#: points ("50 bp"). CAPITAL is an amount of USD ("1500000") or a share of equity ("70 %").
#: DURATION is stored in microseconds ("30s"). COUNT and RATE ("80/s") are whole numbers.
RATIO = "ratio"
BASIS_POINTS = "basis points"
CAPITAL = "capital"
DURATION = "duration"
COUNT = "count"
RATE = "messages/s"

_EXAMPLES = {
    RATIO: '"2 %" or "50 bp"',
    BASIS_POINTS: '"50 bp" or "0.5 %"',
    CAPITAL: '"1500000" (USD) or "70 %" (of equity)',
    DURATION: '"30s", "1m30s" or "500ms"',
    COUNT: '"5"',
    RATE: '"80" or "80/s"',
}

_DURATION_UNITS = {
    "ms": MILLISECOND,
    "s": SECOND,
    "m": MINUTE,
    "min": MINUTE,
    "h": HOUR,
    "d": DAY,
}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|min|s|m|h|d)\s*")
_RATIO = re.compile(r"(\d+(?:\.\d+)?)\s*(%|bp|bps)")


class Limit(msgspec.Struct, frozen=True, gc=False):
    """The limit of a rule.

    ``value`` is in ppm, 1e-8 USD, microseconds or a count, depending on ``unit``. A ``relative``
    limit of capital is a share of the firm's equity in ppm.
    """

    unit: str
    value: int
    relative: bool = False

    @property
    def text(self) -> str:
        """Return the limit as people write it."""
        if self.relative:
            return f"{format_ppm(self.value)} of equity"
        return describe(self.unit, self.value)

    def capital(self, equity: int) -> int:
        """Return a CAPITAL limit in 1e-8 USD for a firm with this ``equity`` (1e-8 USD)."""
        return self.value * max(equity, 0) // PPM if self.relative else self.value


def parse_limit(unit: str, text: str) -> Limit:
    """Return the limit that ``text`` says. Raises ValueError, with an example, if it is invalid."""
    limit = _parse(unit, text.strip())
    if limit is None:
        raise ValueError(f"{text!r} is not a limit in {unit}: write {_EXAMPLES[unit]}")
    return limit


def describe(unit: str, value: int) -> str:
    """Return ``value`` with its unit, as people read it."""
    if unit == RATIO:
        return format_ppm(value)
    if unit == BASIS_POINTS:
        return f"{Decimal(value).scaleb(-2):f}".rstrip("0").rstrip(".") + " bp"
    if unit == CAPITAL:
        return f"{format_units(value, decimals=2)} USD"
    if unit == DURATION:
        return format_duration(value)
    return f"{value}/s" if unit == RATE else str(value)


def _parse(unit: str, text: str) -> Limit | None:
    if unit in (RATIO, BASIS_POINTS):
        ratio = _ratio(text)
        return None if ratio is None else Limit(unit, ratio)
    if unit == CAPITAL:
        ratio = _ratio(text)
        if ratio is not None:
            return Limit(unit, ratio, relative=True)
        money = _money(text.removesuffix("USD").strip())
        return None if money is None else Limit(unit, money)
    if unit == DURATION:
        duration = _duration(text)
        return None if duration is None else Limit(unit, duration)
    number = text.removesuffix("/s").strip() if unit == RATE else text
    return Limit(unit, int(number)) if number.isascii() and number.isdigit() else None


def _ratio(text: str) -> int | None:
    match = _RATIO.fullmatch(text)
    if match is None:
        return None
    ppm = Decimal(match[1]) * (10_000 if match[2] == "%" else 100)
    return int(ppm) if ppm == int(ppm) else None


def _money(text: str) -> int | None:
    try:
        money = parse_units(text)
    except (ValueError, InvalidOperation):
        return None
    return money if money >= 0 else None


def _duration(text: str) -> int | None:
    total = Decimal(0)
    end = 0
    while end < len(text):
        match = _DURATION_PART.match(text, end)
        if match is None:
            return None
        total += Decimal(match[1]) * _DURATION_UNITS[match[2]]
        end = match.end()
    return int(total) if text and total == int(total) else None
