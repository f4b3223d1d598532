"""A server on 127.0.0.1 with recorded responses of CoinGecko and CoinMarketCap, and failures."""

import json
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

RECORDED = Path(__file__).parent / "recorded"
COINGECKO = "/api/v3/simple/price"
COINMARKETCAP = "/v2/cryptocurrency/quotes/latest"
CMC_KEY = "b54bcf4d-1bca-4e8e-9a24-22ff2c3d462c"

_NAMES = {COINGECKO: "coingecko", COINMARKETCAP: "coinmarketcap"}


@dataclass
class Api:
    """How one API responds, and what it was requested.

    ``mode`` is ok, a status (429, 500, 401, ...), slow, trickle, garbage, empty, huge, or drop (of
    the connection). ``factor`` multiplies every price. ``prices`` has prices to return instead, by
    CoinGecko's id or by symbol; None leaves the price out. ``age`` is the age of prices in seconds.
    ``requests`` has query and headers of every request.
    """

    mode: str = "ok"
    retry_after: str = ""
    factor: float = 1.0
    prices: dict[str, float | None] = field(default_factory=dict)
    age: float = 0.0
    requests: list[tuple[dict[str, str], dict[str, str]]] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect because of their timeout."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class RecordedUpstream:
    """Runs the server within a ``with`` block; ``url`` is the address of both APIs."""

    def __init__(self) -> None:
        self.coingecko = Api()
        self.coinmarketcap = Api()
        self.released = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def fail(self, mode: str, retry_after: str = "") -> None:
        """Set the mode of both APIs."""
        for api in (self.coingecko, self.coinmarketcap):
            api.mode, api.retry_after = mode, retry_after

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                if path not in _NAMES:
                    self._send(404, b"{}")
                    return
                api: Api = getattr(upstream, _NAMES[path])
                params = {k: v[0] for k, v in parse_qs(urlsplit(f"?{query}").query).items()}
                headers = {k.lower(): v for k, v in self.headers.items()}
                api.requests.append((params, headers))
                self._answer(path, api, params, headers)

            def _answer(
                self, path: str, api: Api, params: dict[str, str], headers: dict[str, str]
            ) -> None:
                mode, name = api.mode, _NAMES[path]
                unknown = path == COINMARKETCAP and headers.get("x-cmc_pro_api_key") != CMC_KEY
                if mode == "ok" and not unknown:
                    respond = _coingecko if path == COINGECKO else _coinmarketcap
                    self._send(200, json.dumps(respond(api, params)).encode())
                elif mode == "429":
                    self._send(429, (RECORDED / f"{name}-429.json").read_bytes(), api.retry_after)
                elif mode == "401" or unknown:
                    self._send(401, b'{"status": {"error_code": 1001}}')
                elif mode == "slow":
                    upstream.released.wait(30)
                elif mode == "trickle":
                    self._trickle()
                elif mode == "garbage":
                    self._send(200, b"<html>We will be back soon</html>")
                elif mode == "empty":
                    self._send(200, b"{}")
                elif mode == "huge":
                    self._send(200, b'{"bitcoin": {"usd": 1.0' + b" " * 2**20 + b"}}")
                elif mode == "drop":
                    self.close_connection = True
                else:
                    self._send(int(mode), b"upstream connect error", api.retry_after)

            def _send(self, status: int, body: bytes, retry_after: str = "") -> None:
                self.send_response(status)
                self.send_header("content-type", "application/json; charset=utf-8")
                self.send_header("content-length", str(len(body)))
                if retry_after:
                    self.send_header("retry-after", retry_after)
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True

            def _trickle(self) -> None:
                self.send_response(200)
                self.send_header("content-length", "100000")
                self.end_headers()
                try:
                    while not upstream.released.wait(0.02):
                        self.wfile.write(b" ")
                        self.wfile.flush()
                except OSError:
                    self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:
                return

        return Handler


def _coingecko(api: Api, params: dict[str, str]) -> dict[str, Any]:
    recorded = json.loads((RECORDED / "coingecko.json").read_text())
    prices: dict[str, Any] = {}
    for name in params["ids"].split(","):
        if name not in recorded:
            continue
        entry = {params["vs_currencies"]: _price(api, name, recorded[name]["usd"])}
        if params.get("include_last_updated_at") == "true":
            entry["last_updated_at"] = int(time.time() - api.age)
        prices[name] = entry
    return {n: e for n, e in prices.items() if api.prices.get(n, 0) is not None}


def _coinmarketcap(api: Api, params: dict[str, str]) -> dict[str, Any]:
    response: dict[str, Any] = json.loads((RECORDED / "coinmarketcap.json").read_text())
    symbols = params["symbol"].split(",")
    response["data"] = {s: c for s, c in response["data"].items() if s in symbols}
    at = datetime.fromtimestamp(time.time() - api.age, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    for symbol, coins in response["data"].items():
        for coin in coins:
            usd = coin["quote"][params["convert"]]
            usd["price"] = _price(api, symbol, usd["price"])
            usd["last_updated"] = at
    return response


def _price(api: Api, name: str, recorded: float | None) -> float | None:
    override = api.prices.get(name)
    if override is not None:
        return override
    return None if recorded is None else recorded * api.factor
