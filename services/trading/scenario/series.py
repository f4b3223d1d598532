"""Reads recorded prices: the points of each asset in order, and what to do about holes in them."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from statistics import median_low
from typing import Literal, NamedTuple

from trading.scenario.errors import suggestion
from trading.scenario.recorded_rows import JSON_FORMATS, Row, RowError, detect, read_rows
from trading.units import MINUTE, format_duration

MAX_BYTES = 100_000_000
#: The longest time without a price by default, in median steps of the series, and at least.
GAP_STEPS, MIN_GAP = 10, MINUTE

Points = tuple[tuple[int, int], ...]
Gaps = Literal["hold", "interpolate"]


class SeriesError(ValueError):
    """Raised for a file without usable prices.

    ``line`` counts from 1; it is 0 if the problem concerns the file as a whole.
    """

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


class Reading(NamedTuple):
    """How recorded prices are read.

    ``asset`` says whose prices they are where there is no symbol column, and else which rows to
    read. ``column`` is the name of the price column. ``file_format`` is empty if the content shows
    it. ``gaps`` says what the price does in a hole longer than ``max_gap`` microseconds, where 0
    stands for the default; None refuses such a hole.
    """

    asset: str = ""
    column: str = ""
    file_format: str = ""
    gaps: Gaps | None = None
    max_gap: int = 0


def read_text(path: Path) -> str:
    """Return the text of a file with recorded prices. Raises SeriesError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SeriesError(f"larger than {MAX_BYTES // 1_000_000} MB")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise SeriesError(error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise SeriesError("not a text file in UTF-8") from error


def read_series(text: str, names: Mapping[str, str], reading: Reading) -> dict[str, Points]:
    """Return the prices of each asset as (time, price), in ascending order of time.

    Times are microseconds since the epoch, prices are in units of 1e-8. ``names`` maps the values
    of a symbol column to assets. :mod:`trading.scenario.recorded_rows` has the formats. Raises
    SeriesError.
    """
    file_format = reading.file_format or detect(text)
    rows: dict[str, list[Row]] = {}
    try:
        for row in read_rows(text, file_format, names, reading.asset, reading.column):
            rows.setdefault(row.asset, []).append(row)
        if not rows:
            asset = reading.asset
            hint = f": no row has a known symbol{suggestion('', names)}"
            raise RowError("no prices" + (f" of {asset}" if asset else hint))
        return {asset: _points(of_asset, reading) for asset, of_asset in rows.items()}
    except RowError as error:
        if file_format in JSON_FORMATS and error.row:
            raise SeriesError(f"entry {error.row}: {error}") from error
        raise SeriesError(str(error), error.row) from error


def _points(rows: list[Row], reading: Reading) -> Points:
    """Return the points of one asset. Raises RowError."""
    rows = _ascending(rows)
    step = median_low(b.time - a.time for a, b in pairwise(rows)) if len(rows) > 1 else 0
    if rows[0].at_opening:
        if not step:
            message = "one candle alone does not show how long it is; add another row, or write"
            raise RowError(f"{message} format: prices", rows[0].number)
        # A close is there when the candle has ended: shown earlier, it would tell the future.
        rows = [row._replace(time=row.time + step) for row in rows]
    longest = reading.max_gap or max(GAP_STEPS * step, MIN_GAP)
    points = [(rows[0].time, rows[0].price)]
    for before, row in pairwise(rows):
        hole = row.time - before.time
        if hole > longest:
            if reading.gaps is None:
                raise RowError(_hole(hole, longest, step, reading), row.number)
            if reading.gaps == "hold" and hole > 1:
                # The market interpolates between points, so one is added just before the next.
                points.append((row.time - 1, before.price))
        points.append((row.time, row.price))
    return tuple(points)


def _ascending(rows: list[Row]) -> list[Row]:
    """Return rows in ascending order of time, which all ascend or all descend. Raises RowError."""
    descending = len(rows) > 1 and rows[1].time < rows[0].time
    for before, row in pairwise(rows):
        if row.time == before.time:
            raise RowError(f"it has the time of row {before.number}; leave one out", row.number)
        if (row.time < before.time) is not descending:
            order = "before" if descending else "after"
            message = f"its time is not {order} that of row {before.number}; sort the rows"
            raise RowError(message, row.number)
    return rows[::-1] if descending else rows


def _hole(hole: int, longest: int, step: int, reading: Reading) -> str:
    """Return the message about a hole."""
    limit = format_duration(longest)
    if not reading.max_gap:
        limit += f" ({GAP_STEPS} times the usual {format_duration(step)}, at least 1m)"
    return (
        f"{format_duration(hole)} without a price before this row, limit {limit}; add what is"
        " missing, raise maxGap, or write gaps: hold or gaps: interpolate"
    )
