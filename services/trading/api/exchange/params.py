"""Parameters of a request: query and body as raw bytes, and their values, checked."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import unquote_plus

import msgspec

from trading.api.exchange import errors

_MAX_PARAMS = 64
_MAX_UNITS = 10**20
_DECIMAL = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,20}))?")
_INTEGER = re.compile(r"[0-9]{1,20}")
_MILLISECONDS = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,3}))?")
_ID = re.compile(r"[a-zA-Z0-9.:/_-]{1,36}")
_SYMBOL = re.compile(r"[A-Z0-9._-]{1,20}")
#: Timestamps from here on are microseconds: as milliseconds it would be the year 5138.
_MICROSECONDS_FROM = 10**14


class Params:
    """Values by name; the query's win over the body's."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

    def expect(self, known: frozenset[str]) -> None:
        """Raises BinanceError if there is one of another name: it would do nothing."""
        names = self._values.keys()
        if names <= known:
            return
        if not known:
            raise errors.too_many(0, len(names))
        raise errors.unread(len(names & known), len(names))

    def text(self, name: str) -> str:
        """Raises BinanceError where it is missing or empty."""
        value = self._values.get(name)
        if value is None:
            raise errors.missing(name)
        if not value:
            raise errors.empty(name)
        return value

    def optional(self, name: str, default: str = "") -> str:
        return self.text(name) if name in self._values else default

    def choice(self, name: str, known: Iterable[str], wrong: errors.BinanceError) -> str:
        value = self.text(name)
        if value not in known:
            raise wrong
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        if name not in self._values:
            return default
        wrong = errors.illegal(name, "^(true|false)$")
        return self.choice(name, ("true", "false", "TRUE", "FALSE"), wrong).lower() == "true"

    def integer(
        self, name: str, *, default: int | None = None, low: int = 0, high: int = 2**62
    ) -> int:
        if name not in self._values and default is not None:
            return default
        value = self.text(name)
        if not _INTEGER.fullmatch(value):
            raise errors.illegal(name, "^[0-9]{1,20}$")
        number = int(value)
        if not low <= number <= high:
            raise errors.out_of_range(name)
        return number

    def limit(self, default: int = 500, most: int = 1000) -> int:
        """``limit``: more than there may be is what there may be."""
        return min(self.integer("limit", default=default, low=1), most)

    def time(self, name: str, default: int) -> int:
        """A time in milliseconds or microseconds, as microseconds."""
        if name not in self._values:
            return default
        given = self.integer(name)
        return given if given >= _MICROSECONDS_FROM else given * 1000

    def window(self, name: str, default: int) -> int:
        """Milliseconds with up to three decimals, as microseconds."""
        if name not in self._values:
            return default
        found = _MILLISECONDS.fullmatch(self.text(name))
        if found is None:
            raise errors.illegal(name, r"^[0-9]{1,20}(\.[0-9]{1,3})?$")
        return int(found[1]) * 1000 + int((found[2] or "").ljust(3, "0"))

    def units(self, name: str) -> int:
        """A decimal in units of 1e-8."""
        found = _DECIMAL.fullmatch(self.text(name))
        if found is None:
            raise errors.illegal(name, r"^([0-9]{1,20})(\.[0-9]{1,20})?$")
        decimals = (found[2] or "").rstrip("0")
        if len(decimals) > 8:
            raise errors.too_precise(name)
        units = int(found[1] + decimals.ljust(8, "0"))
        if units > _MAX_UNITS:
            raise errors.out_of_range(name)
        return units

    def client_order_id(self, name: str) -> str:
        value = self.text(name)
        if not _ID.fullmatch(value):
            raise errors.illegal(name, r"^[a-zA-Z0-9-_.:/]{1,36}$")
        return value

    def symbol(self) -> str:
        value = self.text("symbol")
        if not _SYMBOL.fullmatch(value):
            raise errors.illegal("symbol", "^[A-Z0-9-_.]{1,20}$")
        return value

    def symbols(self) -> list[str] | None:
        """``symbol=X`` or ``symbols=["X","Y"]``; None: all."""
        if "symbols" not in self._values:
            return [self.symbol()] if "symbol" in self._values else None
        if "symbol" in self._values:
            raise errors.BAD_COMBINATION
        try:
            listed = msgspec.json.decode(self.text("symbols"), type=list[str])
        except msgspec.DecodeError as error:
            raise errors.illegal(
                "symbols", r'^\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\]$'
            ) from error
        if len(set(listed)) < len(listed):
            raise errors.DUPLICATE_SYMBOLS
        return listed

    def __contains__(self, name: object) -> bool:
        return name in self._values


class Signed(NamedTuple):
    """``payload``: what the signature is over."""

    payload: bytes
    signature: str


def parse(query: bytes, body: bytes) -> Params:
    """Raises BinanceError for what cannot be read."""
    values: dict[str, str] = {}
    for raw in (body, query):
        if raw:
            values.update(_values(raw))
    return Params(values)


def given(params: Mapping[str, object]) -> Params:
    """Of a WebSocket request. Raises BinanceError for too many."""
    if len(params) > _MAX_PARAMS:
        raise errors.too_many(_MAX_PARAMS, len(params))
    return Params({name: written(value) for name, value in params.items() if value is not None})


def written(value: object) -> str:
    """A JSON value as it goes into a signature."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def signed(query: bytes, body: bytes) -> Signed:
    """Query and body joined without separator, less ``&signature=``, wherever that stands."""
    found = b""
    kept = []
    for raw in (query, body):
        if b"signature=" not in raw:
            kept.append(raw)
            continue
        parts = raw.split(b"&")
        for part in parts:
            if part.startswith(b"signature="):
                found = found or part[len(b"signature=") :]
        kept.append(b"&".join([p for p in parts if not p.startswith(b"signature=")]))
    if not found:
        raise errors.missing("signature")
    return Signed(b"".join(kept), found.decode("latin-1"))


def _values(raw: bytes) -> dict[str, str]:
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError as error:
        raise errors.ILLEGAL_CHARACTERS from error
    parts = text.split("&", _MAX_PARAMS)
    if len(parts) > _MAX_PARAMS:
        raise errors.too_many(_MAX_PARAMS, text.count("&") + 1)
    values: dict[str, str] = {}
    for part in parts:
        if not part:
            continue
        name, _, value = part.partition("=")
        if "%" in part or "+" in part:
            name, value = unquote_plus(name), unquote_plus(value)
        if name in values:
            raise errors.DUPLICATE_VALUES
        values[name] = value
    return values
