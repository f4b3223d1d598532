"""What a step asks to be done, after its status has been saved."""

import msgspec

from trading_operator.policies import Cut


class Begin(msgspec.Struct, frozen=True, tag=True):
    """The run, at the coordinator; where it is there already, nothing."""


class Abort(msgspec.Struct, frozen=True, tag=True):
    reason: str


class Put(msgspec.Struct, frozen=True, tag=True):
    """A policy, made or brought up to date; ``until``: Unix time of its recover-by."""

    cut: Cut
    until: float


class Drop(msgspec.Struct, frozen=True, tag=True):
    """A policy, by name."""

    name: str


class Tell(msgspec.Struct, frozen=True, tag=True):
    """An event for ``kubectl describe``."""

    reason: str
    message: str
    warning: bool = False


Action = Begin | Abort | Put | Drop | Tell
