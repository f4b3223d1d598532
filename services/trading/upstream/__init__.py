"""Real prices from public APIs: clients, plausibility checks, a shared cache, and the poller.

This package knows neither the ecosystem nor its clock: all times are wall times in microseconds
since the Unix epoch, unless a name or a docstring says seconds.
"""
