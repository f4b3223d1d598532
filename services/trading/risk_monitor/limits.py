"""Typed limits: how people write them, how they compare, how they read in an alert."""

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

#: Units of a limit. RATIO is in ppm ("2 %"), BASIS_POINTS too, but read in bp ("50 bp"); CAPITAL
#: is USD ("1500000") or a share of the firm's equity ("70 %"); DURATION is in microseconds
#: ("30s"); COUNT and RATE ("80/s") are whole numbers.
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
    """``value`` in ppm, 1e-8 USD, microseconds or a count, as ``unit`` says; ``relative`` capital
    limits are in ppm of equity.
    """

    unit: str
    value: int
    relative: bool = False

    @property
    def text(self) -> str:
        if self.relative:
            return f"{format_ppm(self.value)} of equity"
        return describe(self.unit, self.value)

    def capital(self, equity: int) -> int:
        """A CAPITAL limit in 1e-8 USD, where the firm has ``equity``."""
        return self.value * max(equity, 0) // PPM if self.relative else self.value


def parse_limit(unit: str, text: str) -> Limit:
    """ValueError with an example for what is not a limit of this unit."""
    found = _parse(unit, text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a limit in {unit}: write {_EXAMPLES[unit]}")
    return found


def describe(unit: str, value: int) -> str:
    """``value`` for people, with its unit."""
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
