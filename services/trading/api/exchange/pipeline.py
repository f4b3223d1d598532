"""The one path that every request takes, whether it came over HTTP or over the WebSocket API.

The two protocols differ in how parameters and signatures are read, and that is passed in as
functions. Checking that the venue is up, counting weight, authenticating, answering and adding
latency are the same for both and happen here.
"""

from collections.abc import Callable
from typing import Any

from trading.api.exchange import errors
from trading.api.exchange.endpoints import Endpoint
from trading.api.exchange.gateway import Gateway
from trading.api.exchange.keys import TRADE, Keys
from trading.api.exchange.limits import Limits, OrderCounts
from trading.api.exchange.params import Params


class RateUsage:
    """What a request cost: the address's weight in this minute, and for a new order the account's
    order counts. It is filled in step by step, so that a refused request reports its cost, too.
    """

    __slots__ = ("orders", "weight")

    def __init__(self) -> None:
        self.weight = 0
        self.orders: OrderCounts | None = None


class RequestPipeline:
    """Takes a request through all checks to its endpoint. `keys` holds the credentials that may
    sign requests, `limits` counts weight and orders.
    """

    def __init__(self, gateway: Gateway, keys: Keys, limits: Limits) -> None:
        self.gateway = gateway
        self.keys = keys
        self.limits = limits

    async def handle(
        self,
        endpoint: Endpoint,
        address: str,
        usage: RateUsage,
        read_params: Callable[[], Params],
        authenticate: Callable[[Params, str], str],
    ) -> Any:
        """Return the endpoint's answer, ready to be encoded as JSON.

        `address` is the client's IP address, whose weight is counted; what the request cost is
        written into `usage`. `read_params` parses the parameters. `authenticate` takes them and
        the endpoint's security type, and returns the account that signed the request. Both may
        raise BinanceError. Raises BinanceError for a refused request, and ConnectionDropped where
        the client must not get an answer at all.
        """
        gateway = self.gateway
        gateway.check_reachable()
        usage.weight = self.limits.count_request(address, endpoint.weight)
        params = read_params()
        if endpoint.surcharge is not None and (extra := endpoint.surcharge(params)):
            usage.weight = self.limits.count_request(address, extra)
        if endpoint.security:
            account = authenticate(params, endpoint.security)
            params.reject_unknown(endpoint.allowed)
            counts = self.limits.count_order(account) if endpoint.places_order else None
            answer = await endpoint.answer(account, params)
            usage.orders = counts
        else:
            if endpoint.optional is not None:
                params.reject_unknown(endpoint.allowed)
            answer = await endpoint.answer(params)
        modes = gateway.exchange.outage_modes
        if modes:
            if "unknown" in modes and endpoint.security == TRADE:
                raise errors.STATUS_UNKNOWN
            await gateway.apply_latency()
            gateway.check_reachable()
        return answer
