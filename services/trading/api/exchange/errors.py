"""Binance's error codes and texts. The texts are part of the API, since clients match on them."""


class BinanceError(Exception):
    """An error that the client gets as `{"code": code, "msg": text}` with HTTP status `status`.

    `retry_after` is in seconds, 0 for none. `used` is the weight that the address has used, where
    the error is that it used too much.
    """

    def __init__(
        self, code: int, text: str, status: int = 400, retry_after: int = 0, used: int = 0
    ) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.status = status
        self.retry_after = retry_after
        self.used = used


def missing(name: str) -> BinanceError:
    """Return the error for a mandatory parameter that was not sent."""
    return BinanceError(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def neither(name: str, other: str) -> BinanceError:
    """Return the error for a request that has neither of two alternative parameters."""
    return BinanceError(
        -1102, f"Param '{name}' or '{other}' must be sent, but both were empty/null!"
    )


def illegal(name: str, legal: str) -> BinanceError:
    """Return the error for a value that does not match the regular expression `legal`."""
    return BinanceError(
        -1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."
    )


def empty(name: str) -> BinanceError:
    """Return the error for a parameter with an empty value."""
    return BinanceError(-1105, f"Parameter '{name}' was empty.")


def not_required(name: str) -> BinanceError:
    """Return the error for a parameter that must not be sent with this kind of order."""
    return BinanceError(-1106, f"Parameter '{name}' sent when not required.")


def out_of_range(name: str) -> BinanceError:
    """Return the error for a value that is well formed but not allowed."""
    return BinanceError(-1130, f"Data sent for parameter '{name}' is not valid.")


def too_precise(name: str) -> BinanceError:
    """Return the error for a decimal with too many decimals."""
    return BinanceError(-1111, f"Parameter '{name}' has too much precision.")


def too_many(expected: int, received: int) -> BinanceError:
    """Return the error for a request with `received` parameters where `expected` are the most."""
    return BinanceError(
        -1101, f"Too many parameters; expected '{expected}' and received '{received}'."
    )


def unread(read: int, sent: int) -> BinanceError:
    """Return the error for parameters with unknown names: of `sent` parameters `read` are known."""
    return BinanceError(
        -1104,
        f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'.",
    )


def filter_failure(name: str) -> BinanceError:
    """Return the error for an order that violates the symbol's filter `name`."""
    return BinanceError(-1013, f"Filter failure: {name}")


def unsupported_type(kind: str) -> BinanceError:
    """Return the error for an order type that Binance has and this venue does not, such as
    STOP_LOSS_LIMIT.
    """
    name = kind.replace("_", " ").capitalize()
    return BinanceError(-1013, f"{name} orders are not supported for this symbol.")


ILLEGAL_CHARACTERS = BinanceError(-1100, "Illegal characters found in a parameter.")
DUPLICATE_VALUES = BinanceError(-1101, "Duplicate values for a parameter detected.")
OUTSIDE_WINDOW = BinanceError(-1021, "Timestamp for this request is outside of the recvWindow.")
AHEAD = BinanceError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
BAD_WINDOW = BinanceError(-1131, "recvWindow must be less than 60000.")
BAD_SIGNATURE = BinanceError(-1022, "Signature for this request is not valid.")
BAD_KEY_FORMAT = BinanceError(-2014, "API-key format invalid.", 401)
BAD_KEY = BinanceError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
INVALID_SYMBOL = BinanceError(-1121, "Invalid symbol.")
INVALID_STATUS = BinanceError(-1122, "Invalid symbolStatus.")
INVALID_INTERVAL = BinanceError(-1120, "Invalid interval.")
INVALID_TICKER_TYPE = BinanceError(-1139, "Invalid ticker type.")
INVALID_TIME_UNIT = BinanceError(
    -1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND."
)
INVALID_JSON = BinanceError(-1135, "Invalid JSON Request")
UNSUPPORTED = BinanceError(-1020, "This operation is not supported.")
BAD_COMBINATION = BinanceError(-1128, "Combination of optional parameters invalid.")
DUPLICATE_SYMBOLS = BinanceError(-1151, "Symbol is present multiple times in the list.")
TOO_LONG = BinanceError(-1127, "More than 24 hours between startTime and endTime.")
BAD_RESTRICTIONS = BinanceError(
    -1145, "`cancelRestrictions` has to be either `ONLY_NEW` or `ONLY_PARTIALLY_FILLED`."
)
RESTRICTED = BinanceError(-2011, "Order was not canceled due to cancel restrictions.")
UNKNOWN_ORDER = BinanceError(-2011, "Unknown order sent.")
NO_SUCH_ORDER = BinanceError(-2013, "Order does not exist.")
NO_ICEBERGS = BinanceError(-1013, "Iceberg orders are not supported for this symbol.")
STATUS_UNKNOWN = BinanceError(
    -1007,
    "Timeout waiting for response from backend server. Send status unknown; execution status"
    " unknown.",
    504,
)
UNAVAILABLE = BinanceError(
    -1008,
    "Server is currently overloaded with other requests. Please try again in a few minutes.",
    503,
)

#: First word of the matching engine's reason -> code and text of the error.
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
    """Return the error for a rejected order. `reason` is the matching engine's: a word in
    UPPER_SNAKE_CASE, followed by values.
    """
    code, text = _REASONS.get(reason.split(" ")[0], (-2010, "New order rejected."))
    return BinanceError(code, text)
