"""Checks orders before matching, by the usual filters of spot exchanges under their usual names."""

from trading.messages.orders import OrderType, PlaceOrder, SelfTradePrevention, Side, TimeInForce
from trading.units import PPM, format_ppm, format_units, notional
from trading.universe import Instrument

#: Price collar, in ppm: how far a limit price may be from the reference price.
COLLAR_PPM = 200_000
#: Largest notional of one order, in 1e-8 of the quote asset.
MAX_NOTIONAL = 5_000_000 * 100_000_000

# Sets, because a text that is no member cannot be looked up in an enumeration before Python 3.12.
SIDES = frozenset(Side)
TYPES = frozenset(OrderType)
TIMES_IN_FORCE = frozenset(TimeInForce)
STP_MODES = frozenset(SelfTradePrevention)


def refusal(order: PlaceOrder, instrument: Instrument, reference: int) -> str:
    """Return why ``order`` is rejected, as UPPER_SNAKE with values; an empty text if it is not.

    ``reference`` is the reference price of the symbol, 0 while there is none: the price collar, and
    the size limits of a MARKET order by quantity, are not checked then. Balances are not looked at.
    """
    if order.side not in SIDES:
        return f"INVALID_SIDE {order.side}"
    if order.type not in TYPES:
        return f"INVALID_TYPE {order.type}"
    if order.stp not in STP_MODES:
        return f"INVALID_STP {order.stp}"
    if order.type == OrderType.MARKET:
        return _market_refusal(order, instrument, reference)
    if order.time_in_force not in TIMES_IN_FORCE:
        return f"INVALID_TIME_IN_FORCE {order.time_in_force}"
    price, qty = order.price, order.qty
    if price <= 0 or price % instrument.tick:
        return f"PRICE_FILTER {format_units(price)} tick {format_units(instrument.tick)}"
    if qty <= 0 or qty % instrument.lot:
        return f"LOT_SIZE {format_units(qty)} lot {format_units(instrument.lot)}"
    if reference and abs(price - reference) * PPM > COLLAR_PPM * reference:
        distance = format_ppm((price - reference) * PPM // reference)
        return f"PERCENT_PRICE {distance} band {format_ppm(COLLAR_PPM)}"
    return _size_refusal(notional(price, qty), instrument)


def _market_refusal(order: PlaceOrder, instrument: Instrument, reference: int) -> str:
    if bool(order.qty) == bool(order.quote_qty) or order.qty < 0 or order.quote_qty < 0:
        return "INVALID_QUANTITY MARKET takes either qty or quote_qty"
    if order.quote_qty:
        return _size_refusal(order.quote_qty, instrument)
    if order.qty % instrument.lot:
        return f"LOT_SIZE {format_units(order.qty)} lot {format_units(instrument.lot)}"
    return _size_refusal(notional(reference, order.qty), instrument) if reference else ""


def _size_refusal(value: int, instrument: Instrument) -> str:
    if value < instrument.min_notional:
        return f"MIN_NOTIONAL {format_units(value)} < {format_units(instrument.min_notional)}"
    if value > MAX_NOTIONAL:
        return f"MAX_NOTIONAL {format_units(value)} > {format_units(MAX_NOTIONAL)}"
    return ""
