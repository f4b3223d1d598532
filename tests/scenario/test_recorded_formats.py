"""Tests that recorded prices are read as exchanges and data vendors publish them."""

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.scenario.names import by_recorded_symbol
from trading.scenario.recorded_rows import FORMATS, detect, read_rows
from trading.scenario.series import Points, Reading, SeriesError, read_series, read_text
from trading.units import HOUR, MINUTE, SCALE, SECOND
from trading.universe import default_universe

RECORDINGS = Path(__file__).parent / "recordings"
NAMES = by_recorded_symbol(default_universe())


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def units(*prices: str) -> list[int]:
    return [int(Decimal(price) * SCALE) for price in prices]


def read(text: str, asset: str = "", **how: object) -> dict[str, Points]:
    return read_series(text, NAMES, Reading(asset, **how))  # type: ignore[arg-type]


#: By file: its format, the asset to ask for, its prices, the time of the first and the next ones.
FILES: dict[str, tuple[str, str, list[int], str, int]] = {
    "prices.csv": ("prices", "BTC", units("65000", "64350.5", "61100"), "2026-01-05", MINUTE),
    "binance-2020.csv": (
        "binance-klines", "BTC", units("6400", "6200", "5900.5"), "2020-03-12T11:01", MINUTE,
    ),
    "binance-2025.csv": (
        "binance-klines", "BTC", units("116200", "113400.25", "109000"), "2025-10-10T20:01", MINUTE,
    ),
    "binance-header.csv": (
        "binance-klines", "BTC", units("6400", "6200", "5900.5"), "2020-03-12T11:01", MINUTE,
    ),
    "binance-rest.json": (
        "binance-json", "BTC", units("6400", "6200", "5900.5"), "2020-03-12T11:01", MINUTE,
    ),
    "coingecko.json": (
        "coingecko-json", "USDC", [99876543, 94000000, 88123457], "2023-03-11", HOUR,
    ),
    "coingecko.csv": (
        "prices", "USDC", [99988700, 96712346, 99010000], "2023-03-10", 24 * HOUR,
    ),
    "cryptodatadownload.csv": (
        "candles", "", units("6100", "5900.5", "5650.75"), "2020-03-12T12:00", HOUR,
    ),
    "exchange.csv": (
        "candles", "", units("6100", "5900.5", "5650.75"), "2020-03-12T12:00", HOUR,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_as_it_was_published(name: str) -> None:
    file_format, asset, prices, first, step = FILES[name]
    text = read_text(RECORDINGS / name)
    assert detect(text) == file_format
    series = read(text, asset)
    ((read_asset, points),) = series.items()
    assert read_asset == (asset or "BTC")
    assert points == tuple((at(first) + i * step, price) for i, price in enumerate(prices))
    assert read(text, asset, file_format=file_format) == series


#: The formats without candles.
POINTS = ("prices", "coingecko-json")


def test_every_file_and_every_format_is_tested() -> None:
    assert {p.name for p in RECORDINGS.iterdir()} == {*FILES, "yahoo.csv"}
    assert {f for f, *_ in FILES.values()} == set(FORMATS)


def test_the_guide_shows_what_is_read() -> None:
    """Each example of docs/guides/recorded-data.md has the format beside it."""
    page = Path("docs/guides/recorded-data.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| (`.+`) \|$", page, re.MULTILINE)
    assert {file_format for file_format, _ in rows} == set(FORMATS)
    for file_format, example in rows:
        text = "\n".join(line.strip("`") for line in example.split("<br>"))
        assert detect(text) == file_format
        (row,) = read_rows(text, file_format, NAMES, "BTC", "")
        assert row.price > 0


def test_a_day_without_prices_is_no_row() -> None:
    """Yahoo writes null for a day that it does not have."""
    points = read(read_text(RECORDINGS / "yahoo.csv"), "BTC")["BTC"]
    assert [price for _, price in points] == units("7900.5", "5500.25", "5200")
    assert [time for time, _ in points] == [
        at("2020-03-12"), at("2020-03-14"), at("2020-03-15"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", [n for n, (f, *_) in FILES.items() if f not in POINTS])
def test_a_close_is_not_seen_before_its_candle_has_ended(name: str) -> None:
    """Only the opening price holds at the time at which a candle opens."""
    _, asset, *_ = FILES[name]
    text = read_text(RECORDINGS / name)
    by_column = {c: read(text, asset, column=c)["BTC"] for c in ("open", "high", "low", "close")}
    opens = [time for time, _ in by_column["open"]]
    step = opens[1] - opens[0]
    for column in ("high", "low", "close"):
        assert [time for time, _ in by_column[column]] == [time + step for time in opens]
    # In these files a candle opens at the close before it.
    opening, closing = dict(by_column["open"]), dict(by_column["close"])
    assert [opening[time] for time in opens[1:]] == [closing[time] for time in opens[1:]]
    assert all(by_column["low"][i][1] < by_column["high"][i][1] for i in range(len(opens)))


def test_the_format_can_be_said_where_the_content_does_not_show_it() -> None:
    """A close may hold at the time of its row, if whoever wrote the file stamped it so."""
    text = "time,close\n2026-01-05T00:00:00Z,1\n2026-01-05T00:15:00Z,2\n"
    start = at("2026-01-05")
    assert [t for t, _ in read(text, "BTC")["BTC"]] == [start + 15 * MINUTE, start + 30 * MINUTE]
    assert [t for t, _ in read(text, "BTC", file_format="prices")["BTC"]] == [
        start, start + 15 * MINUTE,
    ]  # fmt: skip
    kline = read_text(RECORDINGS / "binance-2020.csv")
    with pytest.raises(SeriesError, match="expected a column 'time'"):
        read(kline, "BTC", file_format="candles")


@pytest.mark.parametrize("symbol", ["BTC", "BTCUSDT", "BTC/USDT", "BTC-USDT", "BTC-USD", "btc_usd"])
def test_a_symbol_is_recognised_in_every_spelling(symbol: str) -> None:
    assert read(f"time,symbol,price\n2026-01-05,{symbol},1\n2026-01-05,DOGE,2\n").keys() == {"BTC"}


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-05T00:00:00Z", "2026-01-05 00:00:00 UTC", "2026-01-05 01:00:00+01:00",
        "2026-01-05", "20260105", "1767571200", "1767571200.0", "1.7675712e9",
        "1767571200000", "1767571200000000", "1767571200000000000", " 1767571200 ",
    ],
)  # fmt: skip
def test_a_time_is_recognised_in_every_form(written: str) -> None:
    assert read(f"time,price\n{written},1\n", "BTC")["BTC"] == ((at("2026-01-05"), SCALE),)


@pytest.mark.parametrize(
    ("written", "price"),
    [
        ("0.999999995", 100000000), ("0.000000025", 2), ("0.000000035", 4), ("0.000000005", 0),
        ("0.0000000150000000000000000000000000001", 2), ("9.5e-1", 95000000), ("1E+2", 10**10),
        ("1e-999999999", 0), ("0", None), ("-1", None), ("nan", None), ("1e999999999", None),
        ("9999999999.999999999", None), ("1" * 70, None), ("abc", None),
    ],
)  # fmt: skip
def test_a_price_is_rounded_half_to_even(written: str, price: int | None) -> None:
    text = f"time,price\n2026-01-05,{written}\n"
    if price:
        assert read(text, "BTC")["BTC"][0][1] == price
        return
    says = "is 0 when rounded to 8 decimals" if price == 0 else "expected a price above 0"
    with pytest.raises(SeriesError, match=says) as caught:
        read(text, "BTC")
    assert caught.value.line == 2 and "field 2" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "expected a column 'time' or"),
        ("https://example.org\n", 1, "expected a column 'time' or"),
        ("when,price\n2026-01-05,1\n", 1, "rename the column that has the times"),
        ("# a note\ntime,value\n2026-01-05,1\n", 2, "with column:"),
        ("time,price\n2026-01-05\n", 2, "expected 2 fields, got 1"),
        ("time,price\n\n05/01/2026,1\n", 3, "expected a time such as"),
        ("time,price\n2026-01-05,1\n2026-01-05,1\n", 3, "the time of row 2; leave one out"),
        ("time,price\n2,1\n3,1\n1,1\n", 4, "not after that of row 3; sort the rows"),
        ("time,price\n3,1\n2,1\n4,1\n", 4, "not before that of row 3; sort the rows"),
        ("time,price\n2026-01-05,\n", 0, "no prices of BTC"),
        ("time,close\n2026-01-05,1\n", 2, "add another row, or write format: prices"),
        ("time,price\n4102444800,1\n", 2, "expected a time such as"),
        ("time,price\n10000000000000,1\n", 2, "expected a time such as"),
        ("open_time,close,close_time\n1,2,x\n", 2, "in field 3"),
        ("[", 0, "not JSON: Expecting value in line 1"),
        ("[" * 100_000, 0, "not JSON that has prices"),
        ('{"code": -1121}', 0, 'expected "prices", as in'),
        ('{"prices": 1}', 0, "expected an array of arrays"),
        ('{"prices": [[1, 2], [2, NaN]]}', 0, "not JSON that has prices"),
        ('{"prices": [[1, 2], [2]]}', 0, "entry 2: expected an array of at least 2 values"),
        ('{"prices": [[1, 2], [2, true]]}', 0, "entry 2: expected a price above 0"),
        ('{"prices": [[1, 2], [{}, 1]]}', 0, "entry 2: expected a time such as"),
        ("[[1, 2, 3, 4, 5, 6]]", 0, "entry 1: expected an array of at least 7 values"),
        ("[]", 0, "no prices of BTC"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(SeriesError) as caught:
        read(text, "BTC")
    assert (caught.value.line, says in str(caught.value)) == (line, True), str(caught.value)


@pytest.mark.parametrize("name", ["binance-2020.csv", "binance-rest.json", "coingecko.json"])
def test_whose_prices_they_are_must_be_said(name: str) -> None:
    with pytest.raises(SeriesError, match="whose prices these are, such as asset: BTC"):
        read(read_text(RECORDINGS / name))


@pytest.mark.parametrize("name", ["binance-rest.json", "coingecko.json"])
def test_a_column_that_json_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(SeriesError, match="column"):
        read(read_text(RECORDINGS / name), "BTC", column="vwap")


#: Minutes of a series with a hole of two hours after the third.
WITH_HOLE = "time,price\n" + "".join(
    f"{1767571200 + 60 * minute},{price}\n"
    for minute, price in ((0, 1), (1, 2), (2, 3), (122, 5), (123, 6))
)


def test_a_hole_is_an_error_that_names_it() -> None:
    with pytest.raises(SeriesError) as caught:
        read(WITH_HOLE, "BTC")
    assert caught.value.line == 5
    assert str(caught.value) == (
        "2h without a price before this row, limit 10m (10 times the usual 1m, at least 1m); add"
        " what is missing, raise maxGap, or write gaps: hold or gaps: interpolate"
    )
    assert len(read(WITH_HOLE, "BTC", max_gap=2 * HOUR)["BTC"]) == 5
    with pytest.raises(SeriesError, match="limit 1h59m;"):
        read(WITH_HOLE, "BTC", max_gap=2 * HOUR - MINUTE)


def test_a_hole_is_held_or_interpolated() -> None:
    start = at("2026-01-05")
    points = read(WITH_HOLE, "BTC", gaps="interpolate")["BTC"]
    assert [(t - start) // MINUTE for t, _ in points] == [0, 1, 2, 122, 123]
    held = read(WITH_HOLE, "BTC", gaps="hold")["BTC"]
    assert held == (*points[:3], (start + 122 * MINUTE - 1, 3 * SCALE), *points[3:])


def test_ten_steps_are_no_hole_and_a_minute_never_is_one() -> None:
    for seconds, refused in ((600, False), (601, True)):
        text = f"time,price\n0,1\n60,1\n120,1\n{120 + seconds},1\n"
        if refused:
            with pytest.raises(SeriesError, match="without a price"):
                read(text, "BTC")
        else:
            assert len(read(text, "BTC")["BTC"]) == 4
    assert len(read("time,price\n0,1\n1,1\n2,1\n62,1\n", "BTC")["BTC"]) == 4
    with pytest.raises(SeriesError, match="without a price"):
        read("time,price\n0,1\n1,1\n2,1\n63,1\n", "BTC")


#: A series: its first time in whole minutes, and its prices in 1e-8.
SERIES = st.tuples(
    st.integers(25_000_000, 40_000_000),
    st.lists(st.integers(1, 10**14), min_size=2, max_size=30),
)


def written(file_format: str, start: int, prices: list[str]) -> str:
    """Write minutes of prices in a format, so that each price holds at its minute."""
    rows = []
    for index, price in enumerate(prices):
        minute = start + index
        opened = (minute - 1) * 60_000
        kline = [str(opened), price, price, price, price, "1", str(opened + 59_999), *"01110"]
        if file_format == "prices":
            iso = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
            rows.append(f"{iso.isoformat()},{price}")
        elif file_format == "candles":
            rows.append(f"{opened // 1000},{price},{price}")
        elif file_format == "binance-klines":
            rows.append(",".join(kline))
        elif file_format == "binance-json":
            quoted = ",".join(f'"{cell}"' for cell in kline[1:6])
            rows.append(f"[{opened},{quoted},{opened + 59_999}]")
        else:
            rows.append(f"[{minute * 60_000},{price}]")
    if file_format == "binance-json":
        return f"[{','.join(rows)}]"
    if file_format == "coingecko-json":
        return f'{{"prices":[{",".join(rows)}]}}'
    header = {"prices": "time,price\n", "candles": "unix,open,close\n"}.get(file_format, "")
    return header + "\n".join(rows)


@pytest.mark.parametrize("file_format", FORMATS)
@given(series=SERIES)
def test_what_was_written_is_read(file_format: str, series: tuple[int, list[int]]) -> None:
    start, prices = series
    texts = [f"{Decimal(price).scaleb(-8):f}" for price in prices]
    text = written(file_format, start, texts)
    assert detect(text) == file_format
    expected = tuple(((start + i) * MINUTE, price) for i, price in enumerate(prices))
    assert read(text, "BTC")["BTC"] == expected
    if not file_format.endswith("json"):
        lines = text.split("\n")
        header = 0 if file_format == "binance-klines" else 1
        descending = "\n".join(lines[:header] + lines[header:][::-1])
        assert read(descending, "BTC")["BTC"] == expected


@given(st.decimals(min_value="0.0000001", max_value=10**9, allow_nan=False, places=14))
def test_a_price_with_more_decimals_is_the_nearest(price: Decimal) -> None:
    ((_, value),) = read(f"time,price\n1,{price:f}\n", "BTC")["BTC"]
    assert value == int((price * SCALE).to_integral_value(ROUND_HALF_EVEN))


@given(st.text(max_size=300) | st.text(alphabet='[]{},:"\n 0123456789time,price', max_size=300))
def test_any_other_text_is_refused_and_not_quoted(text: str) -> None:
    secret = "s3cr3t-value"  # noqa: S105
    for candidate in (
        text,
        f"{text}{secret}",
        f"time,price\n{text}{secret},1",
        f"[[{text}{secret}",
    ):
        try:
            read(candidate, "BTC")
        except SeriesError as error:
            assert secret not in str(error)
