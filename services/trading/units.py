"""Integer money and time: the only place where decimals and units meet.

Prices, quantities and money are integers in units of 1e-8; time is integer microseconds.
"""

from decimal import Decimal

SCALE = 100_000_000
PPM = 1_000_000

MICROSECOND = 1
MILLISECOND = 1_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def notional(price: int, qty: int) -> int:
    """Price times quantity, in units of the quote asset. Exact for prices and quantities on a
    symbol's tick and lot, because tick x lot is a whole number of units (see Instrument).
    """
    return price * qty // SCALE


def parse_units(text: str) -> int:
    """``"0.00001"`` -> 1000. ValueError for more than 8 decimals, for more than 10^22, or for what
    is not a number.
    """
    try:
        scaled = Decimal(text).scaleb(8)
        # The digits of 1e999999 would have to be written out.
        if scaled.is_finite() and scaled.adjusted() > 30:
            raise ValueError(f"too large: {text!r}")
        whole = int(scaled)
    except (ArithmeticError, ValueError) as error:
        raise ValueError(f"not a number: {text!r}") from error
    if whole != scaled:
        raise ValueError(f"more than 8 decimals: {text!r}")
    return whole


def format_units(units: int, *, decimals: int | None = None) -> str:
    """1000 -> ``"0.00001"``; with ``decimals`` fixed and rounded."""
    value = Decimal(units).scaleb(-8)
    if decimals is not None:
        return f"{value:.{decimals}f}"
    text = f"{value:.8f}".rstrip("0").rstrip(".")
    return text if text not in ("-0", "") else "0"


def format_ppm(ppm: int) -> str:
    """-150000 -> ``"-15 %"``."""
    text = f"{Decimal(ppm).scaleb(-4):.4f}".rstrip("0").rstrip(".")
    return f"{text} %"


def printable(text: str) -> str:
    """Without what a terminal would obey: control characters but line feeds and tabs, and the signs
    that turn the direction of writing, are written out as escapes.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else _escaped(c) for c in text)


def on_one_line(text: str) -> str:
    """As :func:`printable`, for where a line feed would begin a line of somebody else's."""
    return " ".join(printable(text).split("\n"))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def format_duration(us: int) -> str:
    """90_000_000 -> ``"1m30s"``; below one second in milliseconds."""
    sign = "-" if us < 0 else ""
    us = abs(us)
    if us < SECOND:
        return f"{sign}{us / MILLISECOND:g}ms"
    seconds, rest = divmod(us, SECOND)
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    if seconds or rest or not parts:
        parts.append(f"{seconds + rest / SECOND:g}s")
    return sign + "".join(parts)
