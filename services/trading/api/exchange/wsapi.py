"""The WebSocket API: requests get the same answers as over HTTP, and a client can subscribe to its
user data stream, which exists only here.
"""

from typing import Any

import msgspec
from fastapi import WebSocket, WebSocketDisconnect

from trading.api.exchange import errors
from trading.api.exchange.endpoints import SIGNING, Endpoint
from trading.api.exchange.gateway import ConnectionDropped
from trading.api.exchange.hub import Connection, Hub
from trading.api.exchange.info import order_limits, weight_limit
from trading.api.exchange.keys import READ
from trading.api.exchange.params import Params, from_json, to_signed_text
from trading.api.exchange.pipeline import RateUsage, RequestPipeline

#: Most subscriptions to user data on one connection.
MAX_SUBSCRIPTIONS = 1000
#: Weight of opening a connection.
CONNECT_WEIGHT = 2

#: Decodes floats as the strings that the client sent, since its signature covers these.
_decode = msgspec.json.Decoder(float_hook=str).decode
_API_KEY = frozenset({"apiKey"})
_INVALID_ID = errors.illegal("id", "^[a-zA-Z0-9-_]{1,36}$")


class WsApi:
    """Answers the requests of clients of the WebSocket API through `pipeline`. The subscriptions to
    user data are kept in the connections of `hub`. Of `endpoints` those with a method name are
    available.
    """

    def __init__(self, pipeline: RequestPipeline, hub: Hub, endpoints: list[Endpoint]) -> None:
        self._pipeline = pipeline
        self._hub = hub
        self._endpoints = {e.ws: _allow_api_key(e) for e in endpoints if e.ws}
        for name, answer, allowed in (
            ("userDataStream.subscribe.signature", self._subscribe, SIGNING | _API_KEY),
            ("userDataStream.unsubscribe", self._unsubscribe, frozenset({"subscriptionId"})),
            ("session.subscriptions", self._subscriptions, frozenset[str]()),
        ):
            self._endpoints[name] = Endpoint("", "", name, 2, "", answer, allowed=allowed)

    async def on_message(self, connection: Connection, socket: WebSocket, text: str) -> Any:
        """Return the answer to a message of a client, errors included. Raises WebSocketDisconnect,
        after closing the connection, while the venue plays an outage in which clients get no
        answer.
        """
        usage = RateUsage()
        message: dict[str, Any] = {}
        request_id = None
        address = socket.client.host if socket.client is not None else ""
        try:
            try:
                decoded = _decode(text)
            except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
                raise errors.INVALID_JSON from error
            if not isinstance(decoded, dict):
                raise errors.INVALID_JSON
            message = decoded
            request_id = _checked_id(message.get("id"))
            result = await self._answer(connection, message, address, usage)
        except errors.BinanceError as error:
            usage.weight = usage.weight or error.used
            details: dict[str, Any] = {"code": error.code, "msg": error.text}
            if error.retry_after:
                details["data"] = {"retryAfter": error.retry_after}
            response: dict[str, Any] = {"id": request_id, "status": error.status, "error": details}
        except ConnectionDropped:
            await socket.close(1013)
            raise WebSocketDisconnect(1013) from None
        else:
            response = {"id": request_id, "status": 200, "result": result}
        if connection.rate_limits and _params_of(message).get("returnRateLimits") is not False:
            response["rateLimits"] = self._rate_limits(usage)
        return response

    async def _answer(
        self, connection: Connection, message: dict[str, Any], address: str, usage: RateUsage
    ) -> Any:
        method, params_sent = message.get("method"), message.get("params") or {}
        if not isinstance(method, str) or not isinstance(params_sent, dict):
            raise errors.INVALID_JSON
        endpoint = self._endpoints.get(method)
        if endpoint is None:
            raise errors.UNSUPPORTED
        params_sent = {
            name: value for name, value in params_sent.items() if name != "returnRateLimits"
        }
        if not endpoint.path:
            answer = endpoint.answer

            async def with_connection(params: Params) -> Any:
                return await answer(connection, params_sent, params)

            endpoint = endpoint._replace(answer=with_connection)

        def authenticate(params: Params, security: str) -> str:
            return self._authenticate(params_sent, params, security)

        return await self._pipeline.handle(
            endpoint, address, usage, lambda: from_json(params_sent), authenticate
        )

    def _authenticate(self, params_sent: dict[str, Any], params: Params, security: str) -> str:
        """Return the account that signed the request. The signature covers all other parameters,
        sorted by name, as `name=value` joined by `&` and not URL-encoded. Raises BinanceError.
        """
        credential = self._pipeline.keys.find(params.optional("apiKey"))
        signature = params.text("signature")
        payload = "&".join(
            [
                f"{k}={to_signed_text(params_sent[k])}"
                for k in sorted(params_sent)
                if k != "signature"
            ]
        )
        self._pipeline.keys.verify(
            credential, payload.encode("utf-8", "replace"), signature, params, security
        )
        return credential.account

    async def _subscribe(
        self, connection: Connection, params_sent: dict[str, Any], params: Params
    ) -> dict[str, int]:
        account = self._authenticate(params_sent, params, READ)
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
        self, connection: Connection, params_sent: dict[str, Any], params: Params
    ) -> dict[str, Any]:
        if "subscriptionId" in params:
            ended = [params.integer("subscriptionId")]
            if ended[0] not in connection.accounts:
                raise errors.out_of_range("subscriptionId")
        else:
            ended = list(connection.accounts)
        for subscription in ended:
            self._hub.end_subscription(connection, subscription)
        return {}

    async def _subscriptions(
        self, connection: Connection, params_sent: dict[str, Any], params: Params
    ) -> list[dict[str, int]]:
        return [{"subscriptionId": number} for number in connection.accounts]

    def _rate_limits(self, usage: RateUsage) -> list[dict[str, Any]]:
        limits = self._pipeline.limits
        order_counts = []
        if usage.orders is not None:
            pairs = zip(order_limits(limits), usage.orders, strict=True)
            order_counts = [{**limit, "count": count} for limit, count in pairs]
        return [*order_counts, {**weight_limit(limits), "count": usage.weight}]


def _allow_api_key(endpoint: Endpoint) -> Endpoint:
    """Return `endpoint` with the parameter `apiKey` allowed if it is a signed one: without headers,
    the key is sent as a parameter.
    """
    if not endpoint.security:
        return endpoint
    return endpoint._replace(allowed=endpoint.allowed | _API_KEY)


def _params_of(message: dict[str, Any]) -> dict[str, Any]:
    params = message.get("params")
    return params if isinstance(params, dict) else {}


def _checked_id(request_id: Any) -> int | str | None:
    """Return the request's id: an integer, a string of at most 36 characters, or None; an integer
    that does not fit in 64 bits becomes None. Raises BinanceError for anything else.
    """
    if request_id is None or (isinstance(request_id, int) and not isinstance(request_id, bool)):
        return request_id if request_id is None or -(2**63) <= request_id < 2**63 else None
    if isinstance(request_id, str) and 1 <= len(request_id) <= 36 and request_id.isascii():
        return request_id
    raise _INVALID_ID
