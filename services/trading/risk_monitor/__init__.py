"""The risk monitor evaluates risk controls on the data that it would have in production."""

from trading.risk_monitor.component import RiskMonitor
from trading.risk_monitor.rules import RULES, rules_table_markdown

__all__ = ["RULES", "RiskMonitor", "rules_table_markdown"]
