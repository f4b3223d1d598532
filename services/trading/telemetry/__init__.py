"""Metrics for Prometheus and traces for Jaeger: the table of metrics and the code that fills it."""
