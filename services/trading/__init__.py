"""The trading ecosystem chaos range: a simulated market whose services are tested by faults.

``trading.run("market-crash", seed=7)`` runs a scenario in virtual time and returns the
:class:`~trading.scenario.result.Verdict`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trading.embedded.api import run as run

__all__ = ["run"]


def __getattr__(name: str) -> Any:
    # Imported on first use, so that `trading --help` does not load seven services.
    if name == "run":
        from trading.embedded.api import run

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
