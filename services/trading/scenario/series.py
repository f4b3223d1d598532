"""Recorded prices from CSV: ``time,symbol,price``, or the candles of one asset.

Messages say where something is wrong and what was expected, never what is there: a file that was
named by mistake, or on purpose, may be nobody's business.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from trading.scenario.errors import suggestion
from trading.scenario.quantities import parse_price
from trading.units import MILLISECOND, SECOND

MAX_BYTES = 100_000_000
EXAMPLE = "2026-01-05T00:00:00Z"
#: 2100-01-01, in days since the epoch: later times, and sums of them, cannot all be written.
_LAST_DAY = 47_482
_TIME_COLUMNS = ("time", "timestamp", "date")
_NAME_COLUMNS = ("symbol", "asset")
_PRICE_COLUMNS = ("price", "close")

Points = tuple[tuple[int, int], ...]


class SeriesError(ValueError):
    """``line`` from 1, 0 where the file as a whole is wrong."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


def read_series(
    path: Path, names: Mapping[str, str], *, asset: str = "", column: str = ""
) -> dict[str, Points]:
    """Asset -> (time, price) in microseconds since the epoch and units of 1e-8, ascending.

    ``names``: what the symbol column may say -> the asset that it means (other rows are skipped).
    ``asset``: whose prices, where there is no such column; otherwise only this one is read.
    ``column``: of the price; default ``price`` or ``close``. Times are ISO 8601 (UTC if they do
    not say) or seconds or milliseconds since the epoch. Raises SeriesError.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SeriesError(f"larger than {MAX_BYTES // 1_000_000} MB")
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _read(csv.reader(file), names, asset, column)
    except OSError as error:
        raise SeriesError(error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise SeriesError("not a text file in UTF-8") from error
    except csv.Error as error:
        raise SeriesError(f"not CSV: {error}") from error


def _read(
    rows: Iterator[list[str]], names: Mapping[str, str], asset: str, column: str
) -> dict[str, Points]:
    header = [name.strip().lower() for name in next(rows, [])]
    time_at = _column(header, _TIME_COLUMNS)
    price_at = _column(header, (column.lower(),) if column else _PRICE_COLUMNS)
    name_at = next((header.index(n) for n in _NAME_COLUMNS if n in header), -1)
    if name_at < 0 and not asset:
        raise SeriesError("no column 'symbol': say whose prices these are with asset", 1)
    found: dict[str, list[tuple[int, int]]] = {}
    for number, row in enumerate(rows, start=2):
        if not any(row):
            continue
        if len(row) != len(header):
            raise SeriesError(f"expected {len(header)} fields, got {len(row)}", number)
        owner = asset if name_at < 0 else names.get(row[name_at].strip().upper(), "")
        if not owner or (asset and owner != asset):
            continue
        try:
            at = _time(row[time_at])
        except ValueError:
            expected = f"expected a time such as {EXAMPLE} in field {time_at + 1}"
            raise SeriesError(expected, number) from None
        try:
            price = parse_price(row[price_at].strip())
        except ValueError:
            expected = f"expected a price above 0 such as 0.95 in field {price_at + 1}"
            raise SeriesError(expected, number) from None
        points = found.setdefault(owner, [])
        if points and at <= points[-1][0]:
            raise SeriesError("its time is not after the one before", number)
        points.append((at, price))
    if not found:
        of = f" of {asset}" if asset else f": no row has a known symbol{suggestion('', names)}"
        raise SeriesError(f"no prices{of}")
    return {owner: tuple(points) for owner, points in found.items()}


def _column(header: list[str], wanted: Iterable[str]) -> int:
    for name in wanted:
        if name in header:
            return header.index(name)
    choices = " or ".join(f"'{name}'" for name in wanted)
    raise SeriesError(f"expected a column {choices} in the first line, as one of {len(header)}", 1)


def _time(text: str) -> int:
    text = text.strip()
    try:
        number = Decimal(text)
    except InvalidOperation:
        return parse_instant(text)
    if not number.is_finite() or not 0 <= number < _LAST_DAY * 86_400_000:
        raise ValueError("expected a time")
    return int(number * (MILLISECOND if number >= 10**11 else SECOND))


def parse_instant(text: str) -> int:
    """ISO 8601 -> microseconds since the epoch; UTC where it does not say. ValueError."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"expected a time such as {EXAMPLE}, got {text[:40]!r}") from error
    if not 0 <= since.days < _LAST_DAY:
        raise ValueError(f"expected a time from 1970 to 2099, got {text[:40]!r}")
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds
