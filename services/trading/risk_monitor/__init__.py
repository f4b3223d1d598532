"""The risk monitor: sees only what it would see in production, and must notice trouble in time."""

from trading.risk_monitor.component import RiskMonitor
from trading.risk_monitor.rules import RULES, rules_table_markdown

__all__ = ["RULES", "RiskMonitor", "rules_table_markdown"]
