"""What the services show of themselves to Prometheus and Jaeger: one table, and what fills it."""
