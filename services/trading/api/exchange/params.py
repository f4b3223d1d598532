"""Parses the parameters of a request from its query, body or JSON, and checks and converts their
values. Every error is one of Binance's own.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import unquote_plus

import msgspec

from trading.api.exchange import errors

_MAX_PARAMS = 64
#: Largest decimal that is accepted, in units of 1e-8.
_MAX_UNITS = 10**20
_DECIMAL = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,20}))?")
_INTEGER = re.compile(r"[0-9]{1,20}")
_MILLISECONDS = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,3}))?")
_ID = re.compile(r"[a-zA-Z0-9.:/_-]{1,36}")
_SYMBOL = re.compile(r"[A-Z0-9._-]{1,20}")
#: Timestamps from here on are read as microseconds: in milliseconds this is the year 5138.
_MICROSECONDS_FROM = 10**14


class Params:
    """The parameters of a request by name, as the strings that the client sent."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

    def reject_unknown(self, allowed: frozenset[str]) -> None:
        """Raise BinanceError if a parameter has a name that is not in `allowed`: it would be
        ignored, and the client would not notice.
        """
        names = self._values.keys()
        if names <= allowed:
            return
        if not allowed:
            raise errors.too_many(0, len(names))
        raise errors.unread(len(names & allowed), len(names))

    def text(self, name: str) -> str:
        """Return a mandatory parameter. Raises BinanceError if it is missing or empty."""
        value = self._values.get(name)
        if value is None:
            raise errors.missing(name)
        if not value:
            raise errors.empty(name)
        return value

    def optional(self, name: str, default: str = "") -> str:
        """Return a parameter, or `default` if it was not sent. Raises BinanceError if
        it is empty.
        """
        return self.text(name) if name in self._values else default

    def choice(self, name: str, choices: Iterable[str], error: errors.BinanceError) -> str:
        """Return a mandatory parameter. Raises `error` if it is not one of `choices`, BinanceError
        if it is missing or empty.
        """
        value = self.text(name)
        if value not in choices:
            raise error
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a boolean parameter, or `default` if it was not sent. Raises BinanceError for
        another value.
        """
        if name not in self._values:
            return default
        error = errors.illegal(name, "^(true|false)$")
        return self.choice(name, ("true", "false", "TRUE", "FALSE"), error).lower() == "true"

    def integer(
        self, name: str, *, default: int | None = None, low: int = 0, high: int = 2**62
    ) -> int:
        """Return an integer, or `default` if it was not sent; without a default it is mandatory.
        Raises BinanceError if it is no decimal integer or not between `low` and `high`.
        """
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
        """Return the parameter `limit`, or `default` if it was not sent; a value above `most`
        counts as `most`. Raises BinanceError if it is not a positive integer.
        """
        return min(self.integer("limit", default=default, low=1), most)

    def time(self, name: str, default: int) -> int:
        """Return a timestamp in microseconds, or `default` if it was not sent. Clients send
        milliseconds or microseconds, which differ enough to be told apart. Raises BinanceError.
        """
        if name not in self._values:
            return default
        value = self.integer(name)
        return value if value >= _MICROSECONDS_FROM else value * 1000

    def window(self, name: str, default: int) -> int:
        """Return a duration in microseconds, or `default` if it was not sent. Clients send
        milliseconds with up to three decimals. Raises BinanceError for another format.
        """
        if name not in self._values:
            return default
        match = _MILLISECONDS.fullmatch(self.text(name))
        if match is None:
            raise errors.illegal(name, r"^[0-9]{1,20}(\.[0-9]{1,3})?$")
        return int(match[1]) * 1000 + int((match[2] or "").ljust(3, "0"))

    def units(self, name: str) -> int:
        """Return a mandatory decimal as an integer in units of 1e-8. Raises BinanceError if it is
        malformed, too large, or has more than eight decimals.
        """
        match = _DECIMAL.fullmatch(self.text(name))
        if match is None:
            raise errors.illegal(name, r"^([0-9]{1,20})(\.[0-9]{1,20})?$")
        decimals = (match[2] or "").rstrip("0")
        if len(decimals) > 8:
            raise errors.too_precise(name)
        units = int(match[1] + decimals.ljust(8, "0"))
        if units > _MAX_UNITS:
            raise errors.out_of_range(name)
        return units

    def client_order_id(self, name: str) -> str:
        """Return a mandatory client order id. Raises BinanceError for characters that are not
        allowed.
        """
        value = self.text(name)
        if not _ID.fullmatch(value):
            raise errors.illegal(name, r"^[a-zA-Z0-9-_.:/]{1,36}$")
        return value

    def symbol(self) -> str:
        """Return the mandatory parameter `symbol`, which need not be traded here. Raises
        BinanceError for characters that are not allowed.
        """
        value = self.text("symbol")
        if not _SYMBOL.fullmatch(value):
            raise errors.illegal("symbol", "^[A-Z0-9-_.]{1,20}$")
        return value

    def symbols(self) -> list[str] | None:
        """Return the symbols that `symbol=X` or `symbols=["X","Y"]` name; None if neither was sent,
        which means all. Raises BinanceError if both were sent, if a symbol is named twice, or if
        the list is malformed.
        """
        if "symbols" not in self._values:
            return [self.symbol()] if "symbol" in self._values else None
        if "symbol" in self._values:
            raise errors.BAD_COMBINATION
        try:
            names = msgspec.json.decode(self.text("symbols"), type=list[str])
        except msgspec.DecodeError as error:
            raise errors.illegal(
                "symbols", r'^\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\]$'
            ) from error
        if len(set(names)) < len(names):
            raise errors.DUPLICATE_SYMBOLS
        return names

    def __contains__(self, name: object) -> bool:
        return name in self._values


class SignedPayload(NamedTuple):
    """A request's signature in hex, and the bytes that it covers."""

    payload: bytes
    signature: str


def parse(query: bytes, body: bytes) -> Params:
    """Return the parameters in the query and body of an HTTP request; the query's value wins where
    a name is in both. Raises BinanceError if they are malformed, too many, or repeated.
    """
    values: dict[str, str] = {}
    for raw in (body, query):
        if raw:
            values.update(_values(raw))
    return Params(values)


def from_json(params: Mapping[str, object]) -> Params:
    """Return the parameters of a WebSocket request; those that are null count as not sent. Raises
    BinanceError if there are too many.
    """
    if len(params) > _MAX_PARAMS:
        raise errors.too_many(_MAX_PARAMS, len(params))
    return Params(
        {name: to_signed_text(value) for name, value in params.items() if value is not None}
    )


def to_signed_text(value: object) -> str:
    """Return a JSON value as the text that a client includes in its signature."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def split_signature(query: bytes, body: bytes) -> SignedPayload:
    """Return the signature, and what it covers: query and body, joined without a separator, without
    the parameter `signature`. Raises BinanceError if there is none.
    """
    signature = b""
    payload = []
    for raw in (query, body):
        if b"signature=" not in raw:
            payload.append(raw)
            continue
        parts = raw.split(b"&")
        for part in parts:
            if part.startswith(b"signature="):
                signature = signature or part[len(b"signature=") :]
        payload.append(b"&".join([p for p in parts if not p.startswith(b"signature=")]))
    if not signature:
        raise errors.missing("signature")
    return SignedPayload(b"".join(payload), signature.decode("latin-1"))


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
