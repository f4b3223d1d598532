"""Trades with Binance's own SDK, unmodified, over the REST API, the WebSocket API and the streams
of the exchange at the given address; prints what it received as JSON.
"""

import asyncio
import json
import sys
from itertools import pairwise

from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_common.constants import TimeUnit
from binance_common.errors import BadRequestError
from binance_sdk_spot import Spot

ADDRESS, KEY, SECRET = sys.argv[1:4]
WS = ADDRESS.replace("http", "ws")
SYMBOL = "BTCUSDT"
RESTING = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "time_in_force": "GTC"}
RESTING |= {"quantity": 0.01, "price": 60000}

sdk = Spot(
    ConfigurationRestAPI(api_key=KEY, api_secret=SECRET, base_path=ADDRESS),
    ConfigurationWebSocketAPI(api_key=KEY, api_secret=SECRET, stream_url=WS + "/ws-api/v3"),
    ConfigurationWebSocketStreams(stream_url=WS + "/stream"),
)


def refused(call):
    try:
        call()
    except BadRequestError as error:
        return [error.status_code, error.error_message]
    return "taken"


def held(rest):
    account = rest.get_account().data()
    return {b.asset: float(b.free) + float(b.locked) for b in account.balances}


def over_rest():
    rest = sdk.rest_api
    before = held(rest)
    bought = rest.new_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity=0.01).data()
    resting = rest.new_order(**RESTING).data()
    opened = [o.order_id for o in rest.get_open_orders(SYMBOL).data()]
    gone = rest.delete_order(SYMBOL, order_id=resting.order_id).data()
    trades = rest.my_trades(SYMBOL, order_id=bought.order_id).data()
    another = rest.new_order(**{**RESTING, "quantity": 0.001})
    info = rest.exchange_info(symbol=SYMBOL).data()
    tickers = rest.ticker24hr(symbol=SYMBOL).data()
    micro = Spot(
        ConfigurationRestAPI(base_path=ADDRESS, time_unit=TimeUnit.MICROSECOND.value)
    ).rest_api
    return {
        "bought": bought.status,
        "resting": [resting.status, resting.order_id in opened, gone.status],
        "trades": sum(float(t.qty) for t in trades),
        "balance": held(rest)["BTC"] - before["BTC"],
        "filters": sorted(f.actual_instance.filter_type for f in info.symbols[0].filters),
        "klines": len(rest.klines(SYMBOL, "1m").data()) > 0,
        "depth": len(rest.depth(SYMBOL, limit=5).data().bids),
        "ticker": float(tickers.actual_instance.last_price),
        "price": float(rest.ticker_price(symbol=SYMBOL).data().actual_instance.price),
        "digits": [len(str(r.time().data().server_time)) for r in (rest, micro)],
        "limits": sorted(f"{x.intervalNum}{x.interval}" for x in another.rate_limits),
        "cancelled": len(rest.delete_open_orders(SYMBOL).data()),
        "refused": [
            refused(lambda: rest.new_order(**{**RESTING, "quantity": 20})),
            refused(lambda: rest.delete_order(SYMBOL, order_id=999999)),
            refused(lambda: rest.get_order(SYMBOL, order_id=999999)),
        ],
    }


async def over_websocket_api():
    connection = await sdk.websocket_api.create_connection()
    events = asyncio.Queue()
    try:
        subscribed = await connection.user_data_stream_subscribe_signature()
        subscribed.stream.on("message", events.put_nowait)
        placed = (await connection.order_place(**RESTING)).data().result
        gone = (await connection.order_cancel(SYMBOL, order_id=placed.order_id)).data().result
        statuses = []
        while "CANCELED" not in statuses:
            event = (await asyncio.wait_for(events.get(), 20)).actual_instance
            if getattr(event, "x", None):
                statuses.append(event.x)
        time = (await connection.time()).data().result.server_time
        await connection.user_data_stream_unsubscribe()
        ended = None
        while type(ended).__name__ != "EventStreamTerminated":
            ended = (await asyncio.wait_for(events.get(), 20)).actual_instance
        return {
            "placed": placed.status,
            "cancelled": gone.status,
            "seen": statuses,
            "time": time > 0,
        }
    finally:
        await connection.close_connection(close_session=True)


async def over_streams():
    connection = await sdk.websocket_streams.create_connection()
    updates, klines = asyncio.Queue(), asyncio.Queue()
    try:
        depth = await connection.diff_book_depth("btcusdt", update_speed="100ms")
        depth.on("message", updates.put_nowait)
        kline = await connection.kline("btcusdt", "1m")
        kline.on("message", klines.put_nowait)
        received = [await asyncio.wait_for(updates.get(), 20) for _ in range(3)]
        bar = (await asyncio.wait_for(klines.get(), 20)).k
        return {"gaps": [b.U - a.u for a, b in pairwise(received)], "bar": float(bar.h) > 0}
    finally:
        await connection.close_connection(close_session=True)


print(
    json.dumps(
        {
            "rest": over_rest(),
            "api": asyncio.run(over_websocket_api()),
            "streams": asyncio.run(over_streams()),
        }
    )
)
