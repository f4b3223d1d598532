"""Orders one after the other, until somebody stops them; what was acknowledged, what was not."""

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
    """Every third order is a market order; all are called ``prefix-number``.

    ``acknowledged``: order id by client order id; ``refused``: the newest answer of another kind.
    A connection that breaks while nobody has stopped the load is only one order less.
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

    def wait(self, risk_monitor: str, operator: dict[str, str], wanted: int) -> None:
        """Until so many are acknowledged. Where the risk monitor stops the load, it may go on:
        ``operator`` are the headers of who may say so.
        """

        def taken() -> bool:
            if len(self.acknowledged) >= wanted:
                return True
            reset = {"by": "test", "reason": "the load is meant"}
            with contextlib.suppress(httpx.HTTPError):
                httpx.post(f"{risk_monitor}/api/breaker/reset", json=reset, headers=operator)
            return False

        try:
            wait_for(f"{wanted} orders", taken)
        except AssertionError as error:
            raise AssertionError(
                f"{error}; {len(self.acknowledged)} were taken; {self.refused}"
            ) from None

    def stop(self) -> None:
        """After the venue was killed: orders under way may be acknowledged until then."""
        self._stopped.set()
        self._thread.join()
        self._client.http.close()
