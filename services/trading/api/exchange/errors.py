"""Binance's error codes and texts. Clients match on the texts: they are API."""


class BinanceError(Exception):
    """Answered as ``{"code": code, "msg": text}`` with an HTTP status."""

    def __init__(self, code: int, text: str, status: int = 400, retry_after: int = 0) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.status = status
        self.retry_after = retry_after


def missing(name: str) -> BinanceError:
    return BinanceError(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def illegal(name: str) -> BinanceError:
    return BinanceError(-1100, f"Illegal characters found in parameter '{name}'.")


def empty(name: str) -> BinanceError:
    return BinanceError(-1105, f"Parameter '{name}' was empty.")


def not_required(name: str) -> BinanceError:
    return BinanceError(-1106, f"Parameter '{name}' sent when not required.")


def out_of_range(name: str) -> BinanceError:
    return BinanceError(-1130, f"Data sent for parameter '{name}' is not valid.")


TOO_MANY_DECIMALS = "Precision is over the maximum defined for this asset."
OUTSIDE_WINDOW = BinanceError(-1021, "Timestamp for this request is outside of the recvWindow.")
AHEAD = BinanceError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
BAD_WINDOW = BinanceError(-1131, "recvWindow must be less than 60000.")
BAD_SIGNATURE = BinanceError(-1022, "Signature for this request is not valid.")
BAD_KEY_FORMAT = BinanceError(-2014, "API-key format invalid.", 401)
BAD_KEY = BinanceError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
INVALID_SYMBOL = BinanceError(-1121, "Invalid symbol.")
UNKNOWN_ORDER = BinanceError(-2011, "Unknown order sent.")
NO_SUCH_ORDER = BinanceError(-2013, "Order does not exist.")
STATUS_UNKNOWN = BinanceError(
    -1007,
    "Timeout waiting for response from backend server. Send status unknown; execution status"
    " unknown.",
    504,
)
UNAVAILABLE = BinanceError(-1008, "Server is currently overloaded with other requests.", 503)

#: First word of the engine's reasons -> code and text.
_REASONS: dict[str, tuple[int, str]] = {
    "PRICE_FILTER": (-1013, "Filter failure: PRICE_FILTER"),
    "LOT_SIZE": (-1013, "Filter failure: LOT_SIZE"),
    "PERCENT_PRICE": (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    "MIN_NOTIONAL": (-1013, "Filter failure: NOTIONAL"),
    "MAX_NOTIONAL": (-1013, "Filter failure: NOTIONAL"),
    "INSUFFICIENT_BALANCE": (-2010, "Account has insufficient balance for requested action."),
    "WOULD_TAKE_LIQUIDITY": (-2010, "Order would immediately match and take."),
    "MARKET_HALT": (-2010, "Market is closed."),
    "MARKET_CANCEL_ONLY": (-2010, "Market is closed."),
    "DUPLICATE_CLIENT_ORDER_ID": (-2010, "Duplicate order sent."),
    "ACCOUNT_KILLED": (-2010, "This action is disabled on this account."),
    "UNKNOWN_SYMBOL": (-1121, "Invalid symbol."),
    "INVALID_SIDE": (-1117, "Invalid side."),
    "INVALID_TYPE": (-1116, "Invalid orderType."),
    "INVALID_TIME_IN_FORCE": (-1115, "Invalid timeInForce."),
    "INVALID_STP": (-1130, "Data sent for parameter 'selfTradePreventionMode' is not valid."),
    "INVALID_QUANTITY": (-1013, "Filter failure: LOT_SIZE"),
    "NO_LIQUIDITY": (-2010, "Order book liquidity is less than LOT_SIZE filter minimum quantity."),
    "FOK_NOT_FILLABLE": (-2010, "Order would not be filled completely."),
}


def rejected(reason: str) -> BinanceError:
    """The venue's own reason (UPPER_SNAKE with values) as Binance says it."""
    code, text = _REASONS.get(reason.split(" ")[0], (-2010, "New order rejected."))
    return BinanceError(code, text)
