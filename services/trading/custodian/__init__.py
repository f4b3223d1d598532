"""The custodian: a double-entry ledger, netting and settlement of every trade, and transfers."""

from trading.custodian.component import Custodian

__all__ = ["Custodian"]
