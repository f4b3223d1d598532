"""Trades with unmodified python-binance at the given address and prints what it
received as JSON.
"""

import asyncio
import json
import sys
from itertools import pairwise

from binance import AsyncClient, BinanceSocketManager, Client

ADDRESS, KEY, SECRET = sys.argv[1:4]
WS = ADDRESS.replace("http", "ws")

Client.API_URL = AsyncClient.API_URL = ADDRESS + "/api"
Client.WS_API_URL = AsyncClient.WS_API_URL = WS + "/ws-api/v3"
BinanceSocketManager.STREAM_URL = WS + "/"


def rest():
    client = Client(KEY, SECRET)
    bought = client.order_market_buy(symbol="BTCUSDT", quantity="0.01")
    resting = client.order_limit_buy(symbol="BTCUSDT", quantity="0.01", price="60000")
    gone = client.cancel_order(symbol="BTCUSDT", orderId=resting["orderId"])
    return {
        "bought": bought["status"],
        "resting": [resting["status"], gone["status"]],
        "klines": len(client.get_klines(symbol="BTCUSDT", interval="1m")) > 0,
        "price": float(client.get_symbol_ticker(symbol="BTCUSDT")["price"]),
    }


async def streams():
    client = await AsyncClient.create(KEY, SECRET)
    try:
        manager = BinanceSocketManager(client)
        async with manager.depth_socket("BTCUSDT") as depth:
            updates = [await depth.recv() for _ in range(3)]
        gaps = [b["U"] - a["u"] for a, b in pairwise(updates)]
        return {"gaps": gaps}
    finally:
        await client.close_connection()


print(json.dumps({"rest": rest(), "streams": asyncio.run(streams())}))
