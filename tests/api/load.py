"""A load of orders, placed one after the other, which records the orders that were acknowledged."""

import contextlib
import threading

import httpx

from tests.api.running import Client, wait_for

RESTING = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.0001",
    "price": "60000",
}
MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.0001"}


class Load:
    """Places orders until it is stopped. Every third one is a market order; their client order ids
    are `prefix-number`.

    `acknowledged` maps client order ids to order ids; `refused` is the newest error. A connection
    that breaks while the load is running counts as one refused order.
    """

    def __init__(self, client: Client, prefix: str) -> None:
        self.acknowledged: dict[str, int] = {}
        self.refused = "nothing was refused"
        self._client = client
        self._prefix = prefix
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        count = 0
        while not self._stopped.is_set():
            count += 1
            name = f"{self._prefix}-{count}"
            params = MARKET if count % 3 == 0 else RESTING
            try:
                answer = self._client.order(**params, newClientOrderId=name)
            except httpx.HTTPError as error:
                self.refused = repr(error)
                self._stopped.wait(0.1)
                continue
            if answer.status_code == 200:
                self.acknowledged[name] = answer.json()["orderId"]
            else:
                self.refused = answer.text
                self._stopped.wait(0.1)

    def wait(self, risk_monitor: str, operator: dict[str, str], count: int) -> None:
        """Wait until `count` orders have been acknowledged. If the risk monitor halts trading
        because of the load, its breaker is reset with the headers `operator`.
        """

        def enough() -> bool:
            if len(self.acknowledged) >= count:
                return True
            reset = {"by": "test", "reason": "the load is meant"}
            with contextlib.suppress(httpx.HTTPError):
                httpx.post(f"{risk_monitor}/api/breaker/reset", json=reset, headers=operator)
            return False

        try:
            wait_for(f"{count} orders", enough)
        except AssertionError as error:
            raise AssertionError(
                f"{error}; {len(self.acknowledged)} were taken; {self.refused}"
            ) from None

    def stop(self) -> None:
        """Stop the load, after the venue was killed: until then orders in flight may be
        acknowledged.
        """
        self._stopped.set()
        self._thread.join()
        self._client.http.close()
