"""The custodian: double-entry ledger, netting and settlement of every trade, transfers."""

from trading.custodian.component import Custodian

__all__ = ["Custodian"]
