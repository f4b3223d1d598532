"""The circuit breaker of the firm, with the states ACTIVE, REDUCING and HALTED.

It reacts to alerts as the rule table says, and uses the exchange's kill switch to stop accounts.
The exchange confirms each change of a kill switch; unconfirmed requests are repeated.
"""

from typing import Any, assert_never

import msgspec

from trading.messages import Message
from trading.messages.orders import (
    AccountSnapshot,
    CancelAllOrders,
    KillSwitchChanged,
    SetKillSwitch,
)
from trading.messages.risk import BreakerChanged, BreakerState
from trading.risk_monitor.actions import BreakerAction
from trading.risk_monitor.rules import RULES

#: The breaker halts the whole firm once this many accounts are killed: the cause can no longer be a
#: single algorithm.
ACCOUNTS_TO_HALT = 2

_RANK = {state: rank for rank, state in enumerate(BreakerState)}


class KillSwitch(msgspec.Struct, gc=False):
    """The desired state of one account's kill switch at the exchange.

    ``engaged`` is the state that the monitor wants, and ``confirmed`` whether the exchange has
    reported it. ``asked_at`` is when it was last requested, and ``confirmed_at`` when the exchange
    last confirmed a state, both in simulated microseconds.
    """

    engaged: bool = False
    confirmed: bool = True
    asked_at: int = 0
    confirmed_at: int = 0
    reason: str = ""


class Breaker:
    """Keeps the state of the circuit breaker and of every kill switch.

    ``accounts`` are the accounts of the firm. If ``enabled`` is false, the breaker does not react
    to alerts, only to commands of an operator. ``retry`` is the time in simulated microseconds
    after which an unconfirmed request is repeated. Messages to send are appended to ``out``.

    REDUCING cancels all orders once, and ends when the alerts that caused it are resolved. HALTED
    engages the kill switch of every account, and ends only by :meth:`reset`: RTS 6 article 15(3)
    requires a human decision.
    """

    def __init__(
        self, accounts: tuple[str, ...], *, enabled: bool, retry: int, out: list[Message]
    ) -> None:
        self._enabled = enabled
        self._retry = retry
        self._out = out
        self._causes: dict[tuple[str, str], str] = {}
        self._tripped_manually = False
        self._switches = {name: KillSwitch() for name in accounts}
        self.state_name = BreakerState.ACTIVE

    def on_breach(self, rule: str, subject: str, observed: str, now: int) -> None:
        """React to a new alert as the rule table says."""
        if not self._enabled:
            return
        action = RULES[rule].breaker
        reason = f"{rule} on {subject}: {observed}"
        match action:
            case BreakerAction.NONE:
                pass
            case BreakerAction.REDUCE | BreakerAction.REDUCE_AND_HALT:
                self._causes[rule, subject] = observed
                self._enter(BreakerState.REDUCING, reason, now)
            case BreakerAction.KILL_ACCOUNT:
                self._kill(subject, reason, now)
            case _:
                assert_never(action)

    def _kill(self, account: str, reason: str, now: int) -> None:
        """Engage the kill switch of an account, if there is one; halt once there are too many."""
        if account not in self._switches:
            return
        self._set_switch(account, True, reason, now)
        killed = [name for name, s in self._switches.items() if s.engaged]
        if len(killed) >= ACCOUNTS_TO_HALT:
            self._enter(BreakerState.HALTED, f"{reason}; killed {', '.join(killed)}", now)

    def on_resolved(self, rule: str, subject: str, now: int) -> None:
        """Return from REDUCING to ACTIVE when the last alert that caused it is resolved."""
        if self._causes.pop((rule, subject), None) is None:
            return
        if (
            self.state_name is BreakerState.REDUCING
            and not self._causes
            and not self._tripped_manually
        ):
            self._change(BreakerState.ACTIVE, f"{rule} on {subject} resolved", now)

    def halt(self, reason: str, now: int) -> None:
        """Halt all trading because a hard limit is breached."""
        if self._enabled:
            self._enter(BreakerState.HALTED, reason, now)

    def trip(self, state: BreakerState, reason: str, by: str, now: int) -> None:
        """Enter ``state`` by an operator's command. The command never lowers the state."""
        if state is not BreakerState.ACTIVE:
            self._tripped_manually = True
            self._enter(state, f"{by}: {reason}", now)

    def reset(self, reason: str, by: str, now: int) -> None:
        """Return to ACTIVE by an operator's command, and release every kill switch."""
        self._causes.clear()
        self._tripped_manually = False
        if self.state_name is not BreakerState.ACTIVE:
            self._change(BreakerState.ACTIVE, f"{by}: {reason}", now)
        for account, switch in self._switches.items():
            if switch.engaged:
                self._set_switch(account, False, f"{by}: {reason}", now)

    def on_kill_switch(self, message: KillSwitchChanged, now: int) -> None:
        """Compare the exchange's report of a kill switch with the desired state."""
        switch = self._switches.get(message.account)
        if switch is None:
            return
        if message.engaged == switch.engaged:
            switch.confirmed = True
            switch.confirmed_at = message.event_time
        elif switch.engaged and message.event_time > switch.confirmed_at:
            switch.confirmed = False

    def on_account(self, snapshot: AccountSnapshot) -> None:
        """Compare the kill switch in an account snapshot with the desired state, if the snapshot is
        newer than the last confirmation.
        """
        switch = self._switches.get(snapshot.account)
        if switch is not None and snapshot.event_time > switch.confirmed_at:
            if switch.engaged:
                switch.confirmed = snapshot.killed
            elif not switch.confirmed:
                switch.confirmed = not snapshot.killed

    def repeat(self, now: int) -> None:
        """Repeat the requests that have not been confirmed in time."""
        for account, switch in self._switches.items():
            if not switch.confirmed and now - switch.asked_at >= self._retry:
                self._request_switch(account, switch, now)

    def state(self) -> dict[str, Any]:
        """Return everything that decides later messages, as plain values."""
        return {
            "state": self.state_name,
            "causes": {f"{r}/{s}": o for (r, s), o in self._causes.items()},
            "by_hand": self._tripped_manually,
            "switches": {n: msgspec.to_builtins(s) for n, s in self._switches.items()},
        }

    def _enter(self, state: BreakerState, reason: str, now: int) -> None:
        if _RANK[state] <= _RANK[self.state_name]:
            return
        self._change(state, reason, now)
        for account in self._switches:
            if state is BreakerState.HALTED:
                self._set_switch(account, True, reason, now)
            else:
                self._out.append(CancelAllOrders(account))

    def _change(self, state: BreakerState, reason: str, now: int) -> None:
        previous, self.state_name = self.state_name, state
        self._out.append(BreakerChanged(state, previous, reason, now))

    def _set_switch(self, account: str, engaged: bool, reason: str, now: int) -> None:
        switch = self._switches[account]
        if switch.engaged != engaged:
            switch.engaged = engaged
            switch.confirmed = False
            switch.reason = reason
            self._request_switch(account, switch, now)

    def _request_switch(self, account: str, switch: KillSwitch, now: int) -> None:
        switch.asked_at = now
        self._out.append(SetKillSwitch(account, switch.engaged, switch.reason))
