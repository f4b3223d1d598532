"""Parameters of a request: query and body as raw bytes, and their values, checked."""

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import parse_qsl

from trading.api.exchange import errors
from trading.units import parse_units

_MAX_PARAMS = 64
_MAX_UNITS = 10**20
_ID = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:/")


class Params:
    """Values by name; the query's win over the body's."""

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

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

    def integer(
        self, name: str, *, default: int | None = None, low: int = 0, high: int = 2**62
    ) -> int:
        if name not in self._values and default is not None:
            return default
        value = self.text(name)
        if not (value.isascii() and value.isdigit()) or len(value) > 19:
            raise errors.illegal(name)
        number = int(value)
        if not low <= number <= high:
            raise errors.out_of_range(name)
        return number

    def units(self, name: str) -> int:
        """A decimal in units of 1e-8."""
        value = self.text(name)
        if len(value) > 32 or not set(value) <= set("0123456789."):
            raise errors.illegal(name)
        try:
            units = parse_units(value)
        except ValueError as error:
            if "8 decimals" in str(error):
                raise errors.BinanceError(-1111, errors.TOO_MANY_DECIMALS) from error
            raise errors.illegal(name) from error
        if units > _MAX_UNITS:
            raise errors.out_of_range(name)
        return units

    def client_order_id(self, name: str) -> str:
        value = self.text(name)
        if len(value) > 36 or not set(value) <= _ID:
            raise errors.illegal(name)
        return value

    def symbols(self) -> list[str] | None:
        """``symbol=X`` or ``symbols=["X","Y"]``; None: all."""
        if "symbol" in self._values:
            return [self.text("symbol")]
        if "symbols" not in self._values:
            return None
        listed = self.text("symbols").strip("[]").split(",")
        return [name.strip().strip('"') for name in listed]

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
        try:
            pairs = parse_qsl(
                raw.decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_PARAMS
            )
        except (ValueError, UnicodeDecodeError) as error:
            raise errors.BinanceError(-1101, "Too many parameters sent for this endpoint.") from (
                error
            )
        values.update(pairs)
    return Params(values)


def signed(query: bytes, body: bytes) -> Signed:
    """Query and body joined without separator, less ``&signature=``, wherever that stands."""
    found = b""
    kept = []
    for raw in (query, body):
        parts = raw.split(b"&") if raw else []
        for part in parts:
            if part.startswith(b"signature="):
                found = found or part[len(b"signature=") :]
        kept.append(b"&".join(p for p in parts if not p.startswith(b"signature=")))
    if not found:
        raise errors.missing("signature")
    return Signed(b"".join(kept), found.decode("latin-1"))
