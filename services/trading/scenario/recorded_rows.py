"""Reads the rows of recorded prices in the formats in which exchanges and data vendors publish.

- ``prices``: CSV with a header, such as ``time,symbol,price``, or CoinGecko's export
  ``snapped_at,price,market_cap,total_volume``. A price holds at the time of its row.
- ``candles``: CSV with a header that has a close, such as Yahoo's
  ``Date,Open,High,Low,Close,Adj Close,Volume``, or CryptoDataDownload's
  ``unix,date,symbol,open,high,low,close,...`` below a line with its address.
- ``binance-klines``: the CSV files of data.binance.vision, with and without a header. Columns and
  units are those that https://github.com/binance/binance-public-data lists: "Open time, Open, High,
  Low, Close, Volume, Close time, ...", and "the timestamp for SPOT Data from January 1st 2025
  onwards will be in microseconds".
- ``binance-json``: what ``GET /api/v3/klines`` answers, an array of arrays in the same order.
- ``coingecko-json``: what ``GET /coins/{id}/market_chart`` answers, ``{"prices": [[ms, price],
  ...]}``, or such pairs alone.

Error messages name the row and what was expected, but never quote the content: a client may name a
confidential file, by mistake or on purpose, and would otherwise see parts of it.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from io import StringIO
from typing import Any, Literal, NamedTuple, NoReturn, get_args

from trading.scenario.timestamps import EXAMPLE, Timestamp, parse_timestamp

Format = Literal["prices", "candles", "binance-klines", "binance-json", "coingecko-json"]
FORMATS: tuple[str, ...] = get_args(Format)
JSON_FORMATS = ("binance-json", "coingecko-json")

BINANCE_COLUMNS = (
    *("open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume"),
    *("count", "taker_buy_volume", "taker_buy_quote_volume", "ignore"),
)
#: The columns of candles that :attr:`Columns.price` may select by position.
_CANDLE = ("open", "high", "low", "close")
#: Names of columns in lower case with underscores; the first that a file has is read.
_TIME_COLUMNS = (
    *("time", "timestamp", "unix", "unix_timestamp"),
    *("open_time", "datetime", "snapped_at", "date"),
)
_SYMBOL_COLUMNS = ("symbol", "pair", "asset")
_PRICE_COLUMNS = ("price", "close", "adj_close")
_CLOSE_COLUMNS = ("close", "adj_close", "price")
#: Cells without a value. Yahoo writes null.
_EMPTY = ("", "null")
#: Lines before the header that are skipped: CryptoDataDownload begins with its address.
_MAX_COMMENTS = 10
_MAX_PRICE_TEXT = 64
#: In 1e-8, as for every other price of a scenario.
_MAX_PRICE = 10**18


class RowError(ValueError):
    """Raised for a row that cannot be read. ``row`` counts from 1, 0 concerns all of them."""

    def __init__(self, message: str, row: int = 0) -> None:
        super().__init__(message)
        self.row = row


class Row(NamedTuple):
    """One price of an asset, with the time at which it holds.

    ``number`` is the line in a CSV file, or the entry in a JSON array. ``time`` is in microseconds
    since the epoch, ``price`` in 1e-8. With ``at_opening`` the time is the opening of a candle at
    whose end the price holds, and the row does not say when that is.
    """

    number: int
    asset: str
    time: int
    price: int
    at_opening: bool


def detect(text: str) -> str:
    """Return the format of ``text`` by its beginning: by brackets, by its header or its fields."""
    beginning = text.lstrip()[:1]
    if beginning == "{":
        return "coingecko-json"
    if beginning == "[":
        # The brackets of [[time, price], ...]: a kline has more fields before the first one closes.
        first_entry = text.lstrip()[1:].lstrip().removeprefix("[").partition("]")[0]
        return "coingecko-json" if first_entry.count(",") == 1 else "binance-json"
    first_row = next(_csv_rows(text), (0, []))[1]
    header = [_column_name(cell) for cell in first_row]
    if {"open_time", "close_time"} <= set(header) or _is_kline(first_row):
        return "binance-klines"
    if "price" not in header and ("close" in header or "adj_close" in header):
        return "candles"
    return "prices"


def read_rows(
    text: str, file_format: str, names: Mapping[str, str], asset: str, column: str
) -> Iterator[Row]:
    """Yield the rows that have a price, in the order of the text.

    ``names`` maps the values of a symbol column to assets; rows with other values are skipped. If
    there is no such column, ``asset`` says whose prices these are; otherwise it selects the rows to
    read. ``column`` is the name of the price column. Raises RowError.
    """
    try:
        if file_format in JSON_FORMATS:
            yield from _json_rows(text, file_format, asset, column)
        else:
            yield from _table_rows(text, file_format, names, asset, column)
    except csv.Error as error:
        raise RowError(f"not CSV: {error}") from error


class _Columns(NamedTuple):
    """The indexes of a row's values, -1 for one that it does not have.

    ``delayed`` says that a price holds at the end of its candle, not at the time of the row.
    """

    time: int
    price: int
    symbol: int
    closed: int
    delayed: bool


def _table_rows(
    text: str, file_format: str, names: Mapping[str, str], asset: str, column: str
) -> Iterator[Row]:
    rows = _csv_rows(text)
    header_line, first_row = next(rows, (1, []))
    if file_format == "binance-klines" and _is_kline(first_row):
        header = list(BINANCE_COLUMNS)
        rows = _chain((header_line, first_row), rows)
    else:
        header = [_column_name(cell) for cell in first_row]
    columns = _columns(header, header_line, file_format, column)
    if columns.symbol < 0 and not asset:
        message = "no column 'symbol': say whose prices these are, such as asset: BTC"
        raise RowError(message, header_line)
    for number, row in rows:
        if len(row) != len(header):
            raise RowError(f"expected {len(header)} fields, got {len(row)}", number)
        row_asset = asset if columns.symbol < 0 else names.get(_symbol(row[columns.symbol]), "")
        if row_asset and (not asset or row_asset == asset):
            yield from _priced(row, columns, number, row_asset)


def _json_rows(text: str, file_format: str, asset: str, column: str) -> Iterator[Row]:
    if not asset:
        raise RowError("say whose prices these are, such as asset: BTC")
    entries = _json_entries(text)
    if file_format == "binance-json":
        if column and column not in _CANDLE:
            raise RowError(f"expected column: one of {', '.join(_CANDLE)}")
        columns = _columns(list(BINANCE_COLUMNS), 0, file_format, column)
    else:
        if column not in ("", "price"):
            raise RowError("this format has one price for each time: leave column out")
        columns = _Columns(0, 1, -1, -1, False)
    fields = max(columns) + 1
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, list) or len(entry) < fields:
            raise RowError(f"expected an array of at least {fields} values", number)
        yield from _priced(entry, columns, number, asset)


def _json_entries(text: str) -> list[Any]:
    """Return the array of prices; numbers stay text, so that no digit is lost."""
    try:
        document = json.loads(text, parse_float=str, parse_int=str, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise RowError(f"not JSON: {error.msg} in line {error.lineno}") from error
    except (ValueError, RecursionError) as error:
        raise RowError("not JSON that has prices") from error
    if isinstance(document, dict):
        document = document.get("prices")
        if document is None:
            raise RowError('expected "prices", as in {"prices": [[1767571200000, 0.95]]}')
    if not isinstance(document, list):
        raise RowError("expected an array of arrays")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _priced(row: Sequence[Any], columns: _Columns, number: int, asset: str) -> Iterator[Row]:
    """Yield the row as a Row, unless its price is empty. Raises RowError."""
    price_text = _text(row[columns.price])
    if price_text.lower() in _EMPTY:
        return
    at = columns.time
    try:
        stamp = parse_timestamp(_text(row[at]))
        if columns.delayed and columns.closed >= 0:
            at = columns.closed
            stamp = _end(parse_timestamp(_text(row[at])))
    except ValueError:
        raise RowError(f"expected a time such as {EXAMPLE} in field {at + 1}", number) from None
    price = _price(price_text)
    if price is None:
        expected = f"expected a price above 0 such as 0.95 in field {columns.price + 1}"
        raise RowError(expected, number)
    if price == 0:
        message = f"its price, in field {columns.price + 1}, is 0 when rounded to 8 decimals"
        raise RowError(message, number)
    yield Row(number, asset, stamp.time, price, columns.delayed and columns.closed < 0)


def _end(last: Timestamp) -> Timestamp:
    """Return the end of a candle by its close time, which is the last unit of time within it."""
    return Timestamp(last.time + last.unit, last.unit)


def _text(cell: Any) -> str:
    """Return a cell as text: null is empty, and what is neither text nor number is no price."""
    if cell is None:
        return ""
    return cell.strip() if isinstance(cell, str) else "?"


def _price(text: str) -> int | None:
    """Return a price in 1e-8, rounded half to even; None if it is not a number above 0."""
    if len(text) > _MAX_PRICE_TEXT:
        return None
    try:
        price = Decimal(text)
    except ArithmeticError:
        return None
    if not price.is_finite() or price < 0 or price.adjusted() > 9 or price == 0:
        return None
    if price.adjusted() < -9:
        return 0
    sign, digits, exponent = price.as_tuple()
    scaled = Decimal((sign, digits, int(exponent) + 8))
    units = int(scaled.to_integral_value(ROUND_HALF_EVEN))
    return units if units < _MAX_PRICE else None


def _csv_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line and cells of each row that is not empty, from the header on.

    Rows with at most one cell before the header are comments.
    """
    reader = csv.reader(StringIO(text, newline=""), delimiter=_delimiter(text))
    comments = 0
    for row in reader:
        cells = sum(1 for cell in row if cell.strip())
        if not cells:
            continue
        if comments >= 0 and comments < _MAX_COMMENTS and (cells == 1 or row[0].startswith("#")):
            comments += 1
            continue
        comments = -1
        yield reader.line_num, row


def _delimiter(text: str) -> str:
    """Return what separates the cells: a comma, unless the first lines have more of another."""
    beginning = text[:1000]
    return max((",", ";", "\t"), key=beginning.count)


def _chain(
    first: tuple[int, list[str]], rest: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from rest


def _is_kline(row: Sequence[str]) -> bool:
    """Return whether a row is a kline: twelve fields, and its times and prices are numbers."""
    return len(row) == len(BINANCE_COLUMNS) and all(_is_number(cell) for cell in row[:7])


def _is_number(cell: str) -> bool:
    try:
        return len(cell) <= _MAX_PRICE_TEXT and Decimal(cell.strip()).is_finite()
    except ArithmeticError:
        return False


def _column_name(cell: str) -> str:
    """Return the name of a column in lower case with underscores: ``Adj Close`` is adj_close."""
    return cell.strip().lower().replace(" ", "_").replace("-", "_")


def _symbol(cell: str) -> str:
    """Return a symbol as the ecosystem writes it: BTC/USDT, BTC-USDT and btcusdt are BTCUSDT."""
    return "".join(character for character in cell.upper() if character.isalnum())


def _columns(header: list[str], line: int, file_format: str, column: str) -> _Columns:
    prices = file_format == "prices"
    defaults = _PRICE_COLUMNS if prices else _CLOSE_COLUMNS
    name = _column_name(column)
    time_at = _column_index(header, _TIME_COLUMNS, line, "rename the column that has the times")
    price_at = _column_index(
        header, (name,) if name else defaults, line, "say which column has the prices with column:"
    )
    symbol_at = next((header.index(n) for n in _SYMBOL_COLUMNS if n in header), -1)
    closed_at = header.index("close_time") if "close_time" in header else -1
    # The opening price is the only one of a candle that is there when it opens.
    delayed = not prices and header[price_at] != "open"
    return _Columns(time_at, price_at, symbol_at, closed_at, delayed)


def _column_index(header: list[str], names: Iterable[str], line: int, remedy: str) -> int:
    for name in names:
        if name in header:
            return header.index(name)
    choices = " or ".join(f"'{name}'" for name in names)
    message = f"expected a column {choices} in the header, as one of {len(header)}; {remedy}"
    raise RowError(message, line)
