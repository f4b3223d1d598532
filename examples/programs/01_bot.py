"""Trade with plain HTTP requests, signed as Binance's documentation says.

    trading up                                      # in another terminal
    python examples/programs/01_bot.py

Buys 0.01 BTC at the market, places a limit order below it, and cancels that order. Needs httpx,
which the project installs.
"""

import argparse
import hashlib
import hmac
import json
import time
from pathlib import Path
from urllib.parse import urlencode

import httpx


class Exchange:
    """Signs requests to the private endpoints of the exchange."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        self._http = httpx.Client(base_url=url, headers={"X-MBX-APIKEY": key}, timeout=10)
        self._secret = secret.encode()

    def signed(self, method: str, path: str, **parameters: str) -> dict[str, object]:
        """Return the response's JSON. Raises httpx.HTTPStatusError if the exchange refuses."""
        query = urlencode({**parameters, "timestamp": str(int(time.time() * 1000))})
        signature = hmac.new(self._secret, query.encode(), hashlib.sha256).hexdigest()
        response = self._http.request(method, f"{path}?{query}&signature={signature}")
        response.raise_for_status()
        answer: dict[str, object] = response.json()
        return answer

    def best_bid(self, symbol: str) -> float:
        """Return the price of the best bid, in units of the quote asset."""
        response = self._http.get("/api/v3/ticker/bookTicker", params={"symbol": symbol})
        response.raise_for_status()
        return float(response.json()["bidPrice"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Trade a little on a running ecosystem.")
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the exchange")
    parser.add_argument("--credentials", type=Path, default=Path(".trading/credentials.json"))
    options = parser.parse_args()
    credentials = json.loads(options.credentials.read_text())
    exchange = Exchange(options.url, credentials["api_key"], credentials["api_secret"])

    order = {"symbol": "BTCUSDT", "quantity": "0.01"}
    bought = exchange.signed("POST", "/api/v3/order", side="BUY", type="MARKET", **order)
    print("bought", bought["executedQty"], "for", bought["cummulativeQuoteQty"])

    price = f"{exchange.best_bid('BTCUSDT') * 0.99:.2f}"
    terms = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": price}
    resting = exchange.signed("POST", "/api/v3/order", **terms, **order)
    print("placed", resting["status"], "at", resting["price"])

    identity = {"symbol": "BTCUSDT", "orderId": str(resting["orderId"])}
    cancelled = exchange.signed("DELETE", "/api/v3/order", **identity)
    print("cancelled", cancelled["status"])


if __name__ == "__main__":
    main()
