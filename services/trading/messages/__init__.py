"""The typed records that components exchange, and nothing else.

Every record is a :class:`Message`. Names in the imperative (``PlaceOrder``) are commands, names in
the past tense (``AlertFired``) are events. A field ``to`` names the receiving service. Units are
the same everywhere:

- time: ``int``, microseconds of simulated time since the Unix epoch;
- price, quantity, money: ``int`` in units of 1e-8 (see :mod:`trading.units`);
- ratios: ``int`` in parts per million (``_ppm``).
"""

from trading.messages.base import Delayed, Message, Start, Wake

__all__ = ["Delayed", "Message", "Start", "Wake"]
