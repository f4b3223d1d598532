"""The one way in: what happens to every request, whichever wire it came over."""

from collections.abc import Callable
from typing import Any

from trading.api.exchange import errors
from trading.api.exchange.endpoints import Endpoint
from trading.api.exchange.gateway import Gateway
from trading.api.exchange.keys import TRADE, Keys
from trading.api.exchange.limits import Limits, OrderCounts
from trading.api.exchange.params import Params


class Used:
    """What a request cost: told to the client whether it was answered or refused."""

    __slots__ = ("orders", "weight")

    def __init__(self) -> None:
        self.weight = 0
        self.orders: OrderCounts | None = None


class Front:
    def __init__(self, gateway: Gateway, keys: Keys, limits: Limits) -> None:
        self.gateway = gateway
        self.keys = keys
        self.limits = limits

    async def answer(
        self,
        endpoint: Endpoint,
        address: str,
        used: Used,
        read: Callable[[], Params],
        authenticate: Callable[[Params, str], str],
    ) -> Any:
        """``read``: the parameters; ``authenticate``: parameters and security to the account that
        signed them. Raises BinanceError, or Dropped where there is to be no answer.
        """
        gateway = self.gateway
        gateway.check_reachable()
        used.weight = self.limits.use(address, endpoint.weight)
        params = read()
        if endpoint.surcharge is not None and (more := endpoint.surcharge(params)):
            used.weight = self.limits.use(address, more)
        if endpoint.security:
            account = authenticate(params, endpoint.security)
            params.expect(endpoint.known)
            counts = self.limits.order(account) if endpoint.places else None
            answer = await endpoint.answer(account, params)
            used.orders = counts
        else:
            if endpoint.optional is not None:
                params.expect(endpoint.known)
            answer = await endpoint.answer(params)
        modes = gateway.exchange.outage_modes
        if modes:
            if "unknown" in modes and endpoint.security == TRADE:
                raise errors.STATUS_UNKNOWN
            await gateway.be_slow()
            gateway.check_reachable()
        return answer
