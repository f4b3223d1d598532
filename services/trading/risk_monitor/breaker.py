"""The circuit breaker: ACTIVE, REDUCING, HALTED, and the exchange's kill function behind it."""

from typing import Any

import msgspec

from trading.messages import Message
from trading.messages.orders import (
    AccountSnapshot,
    CancelAllOrders,
    KillSwitchChanged,
    SetKillSwitch,
)
from trading.messages.risk import ACTIVE, HALTED, REDUCING, BreakerChanged
from trading.risk_monitor.rules import KILL_ACCOUNT, REDUCES, REDUCING_HALTED, RULES

#: When the monitor has had to kill this many accounts, the trouble is not one algorithm's.
ACCOUNTS_TO_HALT = 2

_RANK = {ACTIVE: 0, REDUCING: 1, HALTED: 2}


class KillSwitch(msgspec.Struct, gc=False):
    """What the monitor wants of one account's kill switch. ``asked_at``: last request for it."""

    engaged: bool = False
    confirmed: bool = True
    asked_at: int = 0
    confirmed_at: int = 0
    reason: str = ""


class Breaker:
    """``retry``: time after which a request without confirmation is repeated. ``enabled`` False:
    nothing happens by itself, only by an operator's command. Messages go to ``out``.

    REDUCING cancels all orders once and ends with the alerts that caused it. HALTED engages the
    kill switch of every account and ends only by :meth:`reset` (RTS 6 art. 15(3): a human).
    """

    def __init__(
        self, accounts: tuple[str, ...], *, enabled: bool, retry: int, out: list[Message]
    ) -> None:
        self._enabled = enabled
        self._retry = retry
        self._out = out
        self._causes: dict[tuple[str, str], str] = {}
        self._by_hand = False
        self._switches = {name: KillSwitch() for name in accounts}
        self.state_name = ACTIVE

    def on_breach(self, rule: str, subject: str, observed: str, now: int) -> None:
        """A rule has begun to fire: do what the rule table says."""
        if not self._enabled:
            return
        action = RULES[rule].breaker
        reason = f"{rule} on {subject}: {observed}"
        if action in (REDUCES, REDUCING_HALTED):
            self._causes[rule, subject] = observed
            self._enter(REDUCING, reason, now)
        elif action == KILL_ACCOUNT and subject in self._switches:
            self._set_switch(subject, True, reason, now)
            killed = [name for name, s in self._switches.items() if s.engaged]
            if len(killed) >= ACCOUNTS_TO_HALT:
                self._enter(HALTED, f"{reason}; killed {', '.join(killed)}", now)

    def on_resolved(self, rule: str, subject: str, now: int) -> None:
        if self._causes.pop((rule, subject), None) is None:
            return
        if self.state_name == REDUCING and not self._causes and not self._by_hand:
            self._change(ACTIVE, f"{rule} on {subject} resolved", now)

    def halt(self, reason: str, now: int) -> None:
        """A hard limit is breached."""
        if self._enabled:
            self._enter(HALTED, reason, now)

    def trip(self, state: str, reason: str, by: str, now: int) -> None:
        """An operator's command; never lowers the state, ignores what is no state."""
        if _RANK.get(state, 0) > 0:
            self._by_hand = True
            self._enter(state, f"{by}: {reason}", now)

    def reset(self, reason: str, by: str, now: int) -> None:
        """Back to ACTIVE, and every account may trade again."""
        self._causes.clear()
        self._by_hand = False
        if self.state_name != ACTIVE:
            self._change(ACTIVE, f"{by}: {reason}", now)
        for account, switch in self._switches.items():
            if switch.engaged:
                self._set_switch(account, False, f"{by}: {reason}", now)

    def on_kill_switch(self, message: KillSwitchChanged, now: int) -> None:
        switch = self._switches.get(message.account)
        if switch is None:
            return
        if message.engaged == switch.engaged:
            switch.confirmed = True
            switch.confirmed_at = message.event_time
        elif switch.engaged and message.event_time > switch.confirmed_at:
            switch.confirmed = False

    def on_account(self, snapshot: AccountSnapshot) -> None:
        """The exchange's own word on the switch, newer than the last confirmation."""
        switch = self._switches.get(snapshot.account)
        if switch is not None and snapshot.event_time > switch.confirmed_at:
            if switch.engaged:
                switch.confirmed = snapshot.killed
            elif not switch.confirmed:
                switch.confirmed = not snapshot.killed

    def repeat(self, now: int) -> None:
        """Ask again for what has not been confirmed."""
        for account, switch in self._switches.items():
            if not switch.confirmed and now - switch.asked_at >= self._retry:
                self._ask(account, switch, now)

    def state(self) -> dict[str, Any]:
        return {
            "state": self.state_name,
            "causes": {f"{r}/{s}": o for (r, s), o in self._causes.items()},
            "by_hand": self._by_hand,
            "switches": {n: msgspec.to_builtins(s) for n, s in self._switches.items()},
        }

    def _enter(self, state: str, reason: str, now: int) -> None:
        if _RANK[state] <= _RANK[self.state_name]:
            return
        self._change(state, reason, now)
        for account in self._switches:
            if state == HALTED:
                self._set_switch(account, True, reason, now)
            else:
                self._out.append(CancelAllOrders(account))

    def _change(self, state: str, reason: str, now: int) -> None:
        previous, self.state_name = self.state_name, state
        self._out.append(BreakerChanged(state, previous, reason, now))

    def _set_switch(self, account: str, engaged: bool, reason: str, now: int) -> None:
        switch = self._switches[account]
        if switch.engaged != engaged:
            switch.engaged = engaged
            switch.confirmed = False
            switch.reason = reason
            self._ask(account, switch, now)

    def _ask(self, account: str, switch: KillSwitch, now: int) -> None:
        switch.asked_at = now
        self._out.append(SetKillSwitch(account, switch.engaged, switch.reason))
