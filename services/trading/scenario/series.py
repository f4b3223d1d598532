"""Recorded prices from CSV: ``time,symbol,price``, or the candles of one asset."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from trading.scenario.errors import suggestion
from trading.scenario.quantities import parse_price
from trading.units import MILLISECOND, SECOND

MAX_BYTES = 100_000_000
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
            point = (_time(row[time_at]), parse_price(row[price_at].strip()))
        except ValueError as error:
            raise SeriesError(str(error), number) from error
        points = found.setdefault(owner, [])
        if points and point[0] <= points[-1][0]:
            raise SeriesError(f"time {row[time_at]} is not after the one before", number)
        points.append(point)
    if not found:
        of = f" of {asset}" if asset else f": no row has a known symbol{suggestion('', names)}"
        raise SeriesError(f"no prices{of}")
    return {owner: tuple(points) for owner, points in found.items()}


def _column(header: list[str], wanted: Iterable[str]) -> int:
    for name in wanted:
        if name in header:
            return header.index(name)
    choices = " or ".join(f"'{name}'" for name in wanted)
    there = ", ".join(header) or "nothing"
    raise SeriesError(f"expected a column {choices}, there is {there}", 1)


def _time(text: str) -> int:
    text = text.strip()
    try:
        number = Decimal(text)
    except InvalidOperation:
        return parse_instant(text)
    if not number.is_finite() or not 0 <= number < 10**14:
        raise ValueError(f"expected a time, got {text!r}")
    return int(number * (MILLISECOND if number >= 10**11 else SECOND))


def parse_instant(text: str) -> int:
    """ISO 8601 -> microseconds since the epoch; UTC where it does not say. ValueError."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        example = "2026-01-05T00:00:00Z"
        raise ValueError(f"expected a time such as {example}, got {text[:40]!r}") from error
    if since.days < 0:
        raise ValueError(f"expected a time after 1970, got {text}")
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds
