"""Trades with unmodified ccxt at the given address and prints what it received as JSON."""

import asyncio
import json
import sys

import ccxt
import ccxt.pro

ADDRESS, KEY, SECRET = sys.argv[1:4]


def redirected(urls):
    """Return `urls` with every address replaced by ours; one that is forgotten would send a signed
    call to the real exchange.
    """
    addresses = {}
    for name, url in urls.items():
        if isinstance(url, dict):
            addresses[name] = redirected(url)
        elif url.startswith("ws"):
            path = "/" + url.split("/", 3)[3] if url.count("/") > 2 else ""
            addresses[name] = ADDRESS.replace("http", "ws") + path
        else:
            addresses[name] = ADDRESS + "/" + url.split("/", 3)[3]
    return addresses


def refused(call):
    try:
        call()
    except ccxt.BaseError as error:
        return type(error).__name__
    return "taken"


def rest():
    exchange = ccxt.binance({"apiKey": KEY, "secret": SECRET})
    exchange.urls["api"] = redirected(exchange.urls["api"])
    symbol = "BTC/USDT"
    bought = exchange.create_order(symbol, "market", "buy", 0.01)
    resting = exchange.create_order(symbol, "limit", "buy", 0.01, 60000)
    opened = [o["id"] for o in exchange.fetch_open_orders(symbol)]
    cancelled = exchange.cancel_order(resting["id"], symbol)
    return {
        "markets": sorted(exchange.load_markets()),
        "bought": [bought["status"], bought["filled"]],
        "resting": [resting["status"], resting["id"] in opened, cancelled["status"]],
        "trades": sum(t["amount"] for t in exchange.fetch_my_trades(symbol)),
        "balance": exchange.fetch_balance()["total"]["BTC"],
        "book": len(exchange.fetch_order_book(symbol)["bids"]),
        "refused": [
            refused(lambda: exchange.create_order("SOL/USDT", "limit", "sell", 10, 150)),
            refused(lambda: exchange.cancel_order("999999", symbol)),
            refused(lambda: exchange.fetch_order("999999", symbol)),
        ],
    }


async def streams():
    exchange = ccxt.pro.binance({"apiKey": KEY, "secret": SECRET})
    exchange.urls["api"] = redirected(exchange.urls["api"])
    symbol = "BTC/USDT"
    try:
        books = [await exchange.watch_order_book(symbol) for _ in range(5)]
        ticker = await exchange.watch_ticker(symbol)
        watching = asyncio.ensure_future(exchange.watch_orders(symbol))
        for _ in range(100):
            await asyncio.sleep(0.05)
            if any("ws-api" in url for url in exchange.clients):
                break
        await asyncio.sleep(1)
        await exchange.create_order(symbol, "limit", "buy", 0.01, 60000)
        orders = await asyncio.wait_for(watching, 20)
        watched = [orders[0]["status"], orders[0]["amount"]]
        await exchange.cancel_all_orders(symbol)
        return {
            "best": books[-1]["bids"][0][0],
            "ticker": ticker["last"],
            "watched": watched,
        }
    finally:
        await exchange.close()


print(json.dumps({"rest": rest(), "streams": asyncio.run(streams())}))
