"""The audit correlator reads the journals of all services, verifies them, and compares them."""

from trading.audit_correlator.component import AuditCorrelator

__all__ = ["AuditCorrelator"]
