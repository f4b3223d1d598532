"""Integer money and time: the only module that converts between decimals and units.

Prices, quantities and money are integers in units of 1e-8; time is in integer microseconds; ratios
are in parts per million (ppm).
"""

from datetime import UTC, datetime
from decimal import Decimal

#: Units per coin, or per USD.
SCALE = 100_000_000
#: Parts per million in the whole.
PPM = 1_000_000

MICROSECOND = 1
MILLISECOND = 1_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def notional(price: int, qty: int) -> int:
    """Return price times quantity, in 1e-8 of the quote asset.

    The result is exact for prices and quantities on a symbol's tick and lot, because tick times lot
    is a whole number of units (see :class:`~trading.universe.Instrument`). Otherwise it is rounded
    down.
    """
    return price * qty // SCALE


def parse_units(text: str) -> int:
    """Return a decimal text in units of 1e-8: ``"0.00001"`` is 1000.

    Raises ValueError if it is not a number, has more than 8 decimals, or exceeds 10^22.
    """
    try:
        scaled = Decimal(text).scaleb(8)
        # int() would write out all digits of a number like 1e999999.
        if scaled.is_finite() and scaled.adjusted() > 30:
            raise ValueError(f"too large: {text!r}")
        whole = int(scaled)
    except (ArithmeticError, ValueError) as error:
        raise ValueError(f"not a number: {text!r}") from error
    if whole != scaled:
        raise ValueError(f"more than 8 decimals: {text!r}")
    return whole


def format_units(units: int, *, decimals: int | None = None) -> str:
    """Return units of 1e-8 as a decimal text: 1000 is ``"0.00001"``.

    With ``decimals`` the text is rounded to so many digits after the point.
    """
    value = Decimal(units).scaleb(-8)
    if decimals is not None:
        return f"{value:.{decimals}f}"
    text = f"{value:.8f}".rstrip("0").rstrip(".")
    return text if text not in ("-0", "") else "0"


def format_ppm(ppm: int) -> str:
    """Return parts per million as a percentage: -150000 is ``"-15 %"``."""
    text = f"{Decimal(ppm).scaleb(-4):.4f}".rstrip("0").rstrip(".")
    return f"{text} %"


def printable(text: str) -> str:
    """Return ``text`` without characters that control a terminal.

    Control characters other than line feed and tab, and the marks that change the direction of
    writing, become escape sequences.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else _escaped(c) for c in text)


def on_one_line(text: str) -> str:
    """Return ``text`` as :func:`printable` does, with spaces for line feeds.

    For output in which a line feed would forge another line.
    """
    return " ".join(printable(text).split("\n"))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def format_duration(us: int) -> str:
    """Return microseconds as text: 90_000_000 is ``"1m30s"``; durations below a second are
    in ms.
    """
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


def format_instant(us: int) -> str | None:
    """Return a time in microseconds since the Unix epoch as ISO 8601 with milliseconds; None for 0,
    which stands for what has not happened.
    """
    if not us:
        return None
    text = datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
