"""The typed records that components exchange, and nothing else.

Every record is a :class:`Message`. Imperative names (``PlaceOrder``) are commands, past tense
(``OrderAccepted``, ``AlertFired``) are events. Units, everywhere:

- time: ``int``, microseconds of simulated time since the Unix epoch;
- price, quantity, money: ``int`` in units of 1e-8 (see :mod:`trading.units`);
- ratios: ``int`` in parts per million (``_ppm``).
"""

from trading.messages.base import Delayed, Message, Start, Wake

__all__ = ["Delayed", "Message", "Start", "Wake"]
