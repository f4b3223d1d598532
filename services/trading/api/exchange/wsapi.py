"""The WebSocket API: the same answers as over HTTP, and the user data stream."""

from typing import Any

import msgspec
from fastapi import WebSocket, WebSocketDisconnect

from trading.api.exchange import errors
from trading.api.exchange.endpoints import SIGNING, Endpoint
from trading.api.exchange.front import Front, Used
from trading.api.exchange.gateway import Dropped
from trading.api.exchange.hub import Connection, Hub
from trading.api.exchange.info import order_limits, weight_limit
from trading.api.exchange.keys import READ
from trading.api.exchange.params import Params, given, written

#: Subscriptions to user data on one connection.
MAX_SUBSCRIPTIONS = 1000
#: Weight of a connection.
CONNECT_WEIGHT = 2

#: Numbers as they were written: the signature is over the text.
_decode = msgspec.json.Decoder(float_hook=str).decode
_KEYED = frozenset({"apiKey"})
_BAD_ID = errors.illegal("id", "^[a-zA-Z0-9-_]{1,36}$")


class WsApi:
    def __init__(self, front: Front, hub: Hub, endpoints: list[Endpoint]) -> None:
        self._front = front
        self._hub = hub
        self._endpoints = {e.ws: _keyed(e) for e in endpoints if e.ws}
        for name, answer, known in (
            ("userDataStream.subscribe.signature", self._subscribe, SIGNING | _KEYED),
            ("userDataStream.unsubscribe", self._unsubscribe, frozenset({"subscriptionId"})),
            ("session.subscriptions", self._subscriptions, frozenset[str]()),
        ):
            self._endpoints[name] = Endpoint("", "", name, 2, "", answer, known=known)

    async def on(self, connection: Connection, socket: WebSocket, text: str) -> Any:
        """The answer to one message. Raises WebSocketDisconnect while the venue is dark."""
        used = Used()
        message: dict[str, Any] = {}
        request_id = None
        address = socket.client.host if socket.client is not None else ""
        try:
            try:
                found = _decode(text)
            except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
                raise errors.INVALID_JSON from error
            if not isinstance(found, dict):
                raise errors.INVALID_JSON
            message = found
            request_id = _id(message.get("id"))
            result = await self._answer(connection, message, address, used)
        except errors.BinanceError as error:
            used.weight = used.weight or error.used
            failed: dict[str, Any] = {"code": error.code, "msg": error.text}
            if error.retry_after:
                failed["data"] = {"retryAfter": error.retry_after}
            answer: dict[str, Any] = {"id": request_id, "status": error.status, "error": failed}
        except Dropped:
            await socket.close(1013)
            raise WebSocketDisconnect(1013) from None
        else:
            answer = {"id": request_id, "status": 200, "result": result}
        if connection.rate_limits and _asked(message).get("returnRateLimits") is not False:
            answer["rateLimits"] = self._used(used)
        return answer

    async def _answer(
        self, connection: Connection, message: dict[str, Any], address: str, used: Used
    ) -> Any:
        method, asked = message.get("method"), message.get("params") or {}
        if not isinstance(method, str) or not isinstance(asked, dict):
            raise errors.INVALID_JSON
        endpoint = self._endpoints.get(method)
        if endpoint is None:
            raise errors.UNSUPPORTED
        asked = {name: value for name, value in asked.items() if name != "returnRateLimits"}
        if not endpoint.path:
            answer = endpoint.answer

            async def with_connection(params: Params) -> Any:
                return await answer(connection, asked, params)

            endpoint = endpoint._replace(answer=with_connection)

        def authenticate(params: Params, security: str) -> str:
            return self._authenticate(asked, params, security)

        return await self._front.answer(endpoint, address, used, lambda: given(asked), authenticate)

    def _authenticate(self, asked: dict[str, Any], params: Params, security: str) -> str:
        """Over the parameters by name, ``k=v`` joined by ``&``, not URL-encoded."""
        known = self._front.keys.find(params.optional("apiKey"))
        signature = params.text("signature")
        payload = "&".join([f"{k}={written(asked[k])}" for k in sorted(asked) if k != "signature"])
        self._front.keys.check(
            known, payload.encode("utf-8", "replace"), signature, params, security
        )
        return known.account

    async def _subscribe(
        self, connection: Connection, asked: dict[str, Any], params: Params
    ) -> dict[str, int]:
        account = self._authenticate(asked, params, READ)
        if len(connection.accounts) >= MAX_SUBSCRIPTIONS:
            raise errors.BinanceError(
                -1191,
                f"Too many subscriptions. Connection may create up to '{MAX_SUBSCRIPTIONS}'"
                " subscriptions at a time.",
            )
        connection.subscriptions += 1
        connection.accounts[connection.subscriptions - 1] = account
        return {"subscriptionId": connection.subscriptions - 1}

    async def _unsubscribe(
        self, connection: Connection, asked: dict[str, Any], params: Params
    ) -> dict[str, Any]:
        if "subscriptionId" in params:
            ended = [params.integer("subscriptionId")]
            if ended[0] not in connection.accounts:
                raise errors.out_of_range("subscriptionId")
        else:
            ended = list(connection.accounts)
        for subscription in ended:
            self._hub.terminate(connection, subscription)
        return {}

    async def _subscriptions(
        self, connection: Connection, asked: dict[str, Any], params: Params
    ) -> list[dict[str, int]]:
        return [{"subscriptionId": number} for number in connection.accounts]

    def _used(self, used: Used) -> list[dict[str, Any]]:
        limits = self._front.limits
        counted = []
        if used.orders is not None:
            pairs = zip(order_limits(limits), used.orders, strict=True)
            counted = [{**limit, "count": count} for limit, count in pairs]
        return [*counted, {**weight_limit(limits), "count": used.weight}]


def _keyed(endpoint: Endpoint) -> Endpoint:
    """Signed requests carry their key among the parameters."""
    return endpoint._replace(known=endpoint.known | _KEYED) if endpoint.security else endpoint


def _asked(message: dict[str, Any]) -> dict[str, Any]:
    found = message.get("params")
    return found if isinstance(found, dict) else {}


def _id(found: Any) -> int | str | None:
    """A 64-bit integer, a short string, or null. Raises BinanceError."""
    if found is None or (isinstance(found, int) and not isinstance(found, bool)):
        return found if found is None or -(2**63) <= found < 2**63 else None
    if isinstance(found, str) and 1 <= len(found) <= 36 and found.isascii():
        return found
    raise _BAD_ID
