"""The trading ecosystem chaos range.

``trading.run("market-crash", seed=7)`` breaks a market in virtual time and returns the
:class:`~trading.scenario.result.Verdict`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trading.embedded.api import run as run

__all__ = ["run"]


def __getattr__(name: str) -> Any:
    # Imported on first use: `trading --help` shall not load seven services.
    if name == "run":
        from trading.embedded.api import run

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
