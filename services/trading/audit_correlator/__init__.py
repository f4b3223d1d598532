"""The audit correlator: reads every journal, believes none of them, compares all."""

from trading.audit_correlator.component import AuditCorrelator

__all__ = ["AuditCorrelator"]
