"""The actions that :func:`trading_operator.step.step` returns.

The reconciler executes them in order after it has saved the status. Each one is idempotent: an
operator that was restarted between two actions computes and executes them again.
"""

import msgspec

from trading_operator.policies import Cut


class StartRun(msgspec.Struct, frozen=True, tag=True):
    """Start the run at the test coordinator. It has no effect if the run exists already."""


class AbortRun(msgspec.Struct, frozen=True, tag=True):
    """Abort the run at the test coordinator. ``reason`` goes into the verdict."""

    reason: str


class ApplyPolicy(msgspec.Struct, frozen=True, tag=True):
    """Create or update the NetworkPolicy of ``cut``. ``until`` is the Unix time, in seconds, of its
    recover-by annotation.
    """

    cut: Cut
    until: float


class DeletePolicy(msgspec.Struct, frozen=True, tag=True):
    """Delete the NetworkPolicy called ``name``."""

    name: str


class EmitEvent(msgspec.Struct, frozen=True, tag=True):
    """Create a Kubernetes event, which ``kubectl describe`` shows."""

    reason: str
    message: str
    warning: bool = False


Action = StartRun | AbortRun | ApplyPolicy | DeletePolicy | EmitEvent
