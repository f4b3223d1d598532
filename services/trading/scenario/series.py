"""Reads recorded prices from CSV: rows of ``time,symbol,price``, or candles of one asset.

Error messages name the line and what was expected, but never quote the content: a client may name
a confidential file, by mistake or on purpose, and would otherwise see parts of it.
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
#: 2100-01-01 in days since the epoch. Much later times could not be represented.
_LAST_DAY = 47_482
_TIME_COLUMNS = ("time", "timestamp", "date")
_NAME_COLUMNS = ("symbol", "asset")
_PRICE_COLUMNS = ("price", "close")

Points = tuple[tuple[int, int], ...]


class SeriesError(ValueError):
    """Raised for a file without usable prices.

    ``line`` counts from 1; it is 0 if the problem concerns the file as a whole.
    """

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


def read_series(
    path: Path, names: Mapping[str, str], *, asset: str = "", column: str = ""
) -> dict[str, Points]:
    """Return the prices of each asset as (time, price), in ascending order of time.

    Times are microseconds since the epoch, prices are in units of 1e-8. ``names`` maps the values
    of the symbol column to assets; rows with other values are skipped. If the file has no symbol
    column, ``asset`` says whose prices it has; otherwise ``asset`` selects the rows to read.
    ``column`` is the name of the price column, by default ``price`` or ``close``. In the file,
    times are ISO 8601 (UTC if they have no offset), or seconds or milliseconds since the epoch.
    Raises SeriesError.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SeriesError(f"larger than {MAX_BYTES // 1_000_000} MB")
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _read_rows(csv.reader(file), names, asset, column)
    except OSError as error:
        raise SeriesError(error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise SeriesError("not a text file in UTF-8") from error
    except csv.Error as error:
        raise SeriesError(f"not CSV: {error}") from error


def _read_rows(
    rows: Iterator[list[str]], names: Mapping[str, str], asset: str, column: str
) -> dict[str, Points]:
    header = [name.strip().lower() for name in next(rows, [])]
    time_at = _column_index(header, _TIME_COLUMNS)
    price_at = _column_index(header, (column.lower(),) if column else _PRICE_COLUMNS)
    name_at = next((header.index(n) for n in _NAME_COLUMNS if n in header), -1)
    if name_at < 0 and not asset:
        raise SeriesError("no column 'symbol': say whose prices these are with asset", 1)
    series: dict[str, list[tuple[int, int]]] = {}
    for number, row in enumerate(rows, start=2):
        if not any(row):
            continue
        if len(row) != len(header):
            raise SeriesError(f"expected {len(header)} fields, got {len(row)}", number)
        row_asset = asset if name_at < 0 else names.get(row[name_at].strip().upper(), "")
        if not row_asset or (asset and row_asset != asset):
            continue
        try:
            time = _parse_time(row[time_at])
        except ValueError:
            expected = f"expected a time such as {EXAMPLE} in field {time_at + 1}"
            raise SeriesError(expected, number) from None
        try:
            price = parse_price(row[price_at].strip())
        except ValueError:
            expected = f"expected a price above 0 such as 0.95 in field {price_at + 1}"
            raise SeriesError(expected, number) from None
        points = series.setdefault(row_asset, [])
        if points and time <= points[-1][0]:
            raise SeriesError("its time is not after the one before", number)
        points.append((time, price))
    if not series:
        detail = f" of {asset}" if asset else f": no row has a known symbol{suggestion('', names)}"
        raise SeriesError(f"no prices{detail}")
    return {row_asset: tuple(points) for row_asset, points in series.items()}


def _column_index(header: list[str], names: Iterable[str]) -> int:
    for name in names:
        if name in header:
            return header.index(name)
    choices = " or ".join(f"'{name}'" for name in names)
    raise SeriesError(f"expected a column {choices} in the first line, as one of {len(header)}", 1)


def _parse_time(text: str) -> int:
    text = text.strip()
    try:
        number = Decimal(text)
    except InvalidOperation:
        return parse_instant(text)
    if not number.is_finite() or not 0 <= number < _LAST_DAY * 86_400_000:
        raise ValueError("expected a time")
    return int(number * (MILLISECOND if number >= 10**11 else SECOND))


def parse_instant(text: str) -> int:
    """Return an ISO 8601 time in microseconds since the epoch; UTC if it has no offset.

    Raises ValueError for other text, and for times outside 1970 to 2099.
    """
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        since_epoch = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"expected a time such as {EXAMPLE}, got {text[:40]!r}") from error
    if not 0 <= since_epoch.days < _LAST_DAY:
        raise ValueError(f"expected a time from 1970 to 2099, got {text[:40]!r}")
    return (since_epoch.days * 86_400 + since_epoch.seconds) * SECOND + since_epoch.microseconds
