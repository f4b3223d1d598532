"""The trading engine as a component: market data to strategies, their orders to the exchange."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trading.messages import Message, Start, Wake
from trading.messages.chaos import InjectFault, RecoverFault, RenewFault, StrategyMalfunction
from trading.messages.market import BookTop, Ping
from trading.messages.orders import (
    BUY,
    ExecutionReport,
    KillSwitchChanged,
    RequestFailed,
)
from trading.messages.strategy import StrategiesAssigned, StrategyStateChanged
from trading.runtime.component import answer_ping
from trading.runtime.faults import LEASE_TOPIC, FaultBoard
from trading.topology import TRADING_ENGINE
from trading.trading_engine.assignment import Assignment
from trading.trading_engine.desk import Desk
from trading.trading_engine.index_rebalancing import IndexRebalancing
from trading.trading_engine.malfunction import MODES
from trading.trading_engine.market_making import MarketMaking
from trading.trading_engine.mean_reversion import MeanReversion
from trading.trading_engine.momentum import Momentum
from trading.trading_engine.strategy import STEP, Strategy
from trading.units import SECOND
from trading.universe import MANUAL, Universe

STATES = RUNNING, STOPPED, DISCONNECTED, STANDBY = (
    "RUNNING",
    "STOPPED",
    "DISCONNECTED",
    "STANDBY",
)
TICK, RUNAWAY = "tick", "runaway/"

#: Strategy kinds of the universe, with the prefix of their client order ids.
_KINDS: dict[str, tuple[type[Strategy], str]] = {
    "market-making": (MarketMaking, "mm"),
    "momentum": (Momentum, "mo"),
    "mean-reversion": (MeanReversion, "mr"),
    "index-rebalancing": (IndexRebalancing, "ix"),
}


class TradingEngine:
    """One strategy for each of the firm's automated accounts; it knows the exchange as any client
    does. Where several engines share the accounts it trades for those that it is assigned, and
    follows the others, so that it can take them over: it sends nothing for them.
    """

    name = TRADING_ENGINE

    def __init__(self, universe: Universe, seed: int = 0, *, tick: int = SECOND) -> None:
        self._tick = tick
        self._strategies: dict[str, Strategy] = {}
        automated = [a for a in universe.accounts if a.strategy != MANUAL]
        for account in automated:
            kind, prefix = _KINDS[account.strategy]
            desk = Desk(account, universe, prefix)
            self._strategies[account.name] = kind(desk, tick)
        self._kinds = {a.strategy: a.name for a in automated}
        self._assignment = Assignment(tuple(self._strategies))
        self._uncancelled: list[str] = []
        self._states = dict.fromkeys(self._strategies, RUNNING)
        self._heard = 0
        self._connected = True
        self._faults = FaultBoard(
            self.name, (StrategyMalfunction,), self._begin_fault, self._end_fault
        )
        by_symbol: dict[str, list[Strategy]] = {s: [] for s in universe.symbols}
        for strategy in self._strategies.values():
            for symbol in strategy.desk.symbols:
                by_symbol[symbol].append(strategy)
        self._by_symbol = by_symbol
        self._handlers: dict[type, Callable[[Any, int, list[Message]], None]] = {
            Start: self._on_start,
            Wake: self._on_wake,
            BookTop: self._on_top,
            ExecutionReport: self._on_report,
            KillSwitchChanged: self._on_kill,
            RequestFailed: self._on_failure,
            StrategiesAssigned: self._on_assigned,
            Ping: self._on_ping,
            InjectFault: self._on_fault,
            RenewFault: self._on_fault,
            RecoverFault: self._on_fault,
        }

    def on(self, message: Message, now: int) -> Sequence[Message]:
        handler = self._handlers.get(type(message))
        if handler is None:
            return ()
        out: list[Message] = []
        handler(message, now, out)
        return out

    def state(self) -> dict[str, Any]:
        return {
            "strategies": {
                name: {"desk": s.desk.state(), "own": s.state(), "state": self._states[name]}
                for name, s in self._strategies.items()
            },
            "assigned": dict(self._assignment.fences),
            "uncancelled": list(self._uncancelled),
            "heard": self._heard,
            "connected": self._connected,
            "faults": self._faults.state(),
        }

    @property
    def fences(self) -> Mapping[str, int]:
        """The accounts that it trades for -> fencing number of the lease, 0 without one. It holds
        for what :meth:`on` has just answered.
        """
        return self._assignment.fences

    def strategies(self) -> list[tuple[str, str, Desk]]:
        """Kind, state and desk of every strategy."""
        return [
            (kind, self._states[account], self._strategies[account].desk)
            for kind, account in self._kinds.items()
        ]

    def _on_start(self, message: Start, now: int, out: list[Message]) -> None:
        self._heard = now
        out.append(Wake(now - now % self._tick + self._tick + self._tick // 2, TICK))

    def _on_wake(self, message: Wake, now: int, out: list[Message]) -> None:
        if message.topic.startswith(LEASE_TOPIC):
            out += self._faults.on(message, now)
        elif message.topic.startswith(RUNAWAY):
            self._run_away(message.topic.removeprefix(RUNAWAY), now, out)
        else:
            out.append(Wake(now + self._tick, TICK))
            if self._connected and now - self._heard > max(5 * SECOND, 3 * self._tick):
                self._disconnect("NO_BOOK_UPDATES", now, out)
            elif self._connected and self._uncancelled:
                accounts, self._uncancelled = self._uncancelled, []
                for account in accounts:
                    self._begin(account, "CANCEL_FAILED", now, out)
            for strategy in self._strategies.values():
                self._malfunction(strategy, now, out)

    def _on_ping(self, message: Ping, now: int, out: list[Message]) -> None:
        out.append(answer_ping(self.name, message, now))

    def _on_top(self, top: BookTop, now: int, out: list[Message]) -> None:
        self._heard = now
        if not self._connected:
            self._reconnect(now, out)
        for strategy in self._by_symbol[top.symbol]:
            desk = strategy.desk
            desk.see(top)
            if not (top.bid and top.ask) or desk.killed:
                continue
            if desk.account in self._assignment:
                strategy.on_top(top, now, out)
            else:
                strategy.watch(top, now)

    def _on_report(self, report: ExecutionReport, now: int, out: list[Message]) -> None:
        strategy = self._strategies.get(report.account)
        if strategy is not None:
            strategy.desk.on_report(report)

    def _on_kill(self, change: KillSwitchChanged, now: int, out: list[Message]) -> None:
        strategy = self._strategies.get(change.account)
        if strategy is None or strategy.desk.killed == change.engaged:
            return
        strategy.desk.killed = change.engaged
        strategy.reset()
        if change.account in self._assignment:
            state = STOPPED if change.engaged else RUNNING
            self._change(change.account, state, f"KILL_SWITCH {change.reason}", now, out)

    def _on_failure(self, failure: RequestFailed, now: int, out: list[Message]) -> None:
        """An order whose fate is unknown stays open until its reports say otherwise. A former
        owner's orders must go, so that cancelling them is tried again.
        """
        strategy = self._strategies.get(failure.account)
        if strategy is None or failure.reason == "EXECUTION_STATUS_UNKNOWN":
            return
        desk = strategy.desk
        desk.open.pop(failure.request, None)
        if failure.request == "cancel-all" and desk.fence and desk.account not in self._uncancelled:
            self._uncancelled.append(desk.account)

    def _on_fault(self, message: Message, now: int, out: list[Message]) -> None:
        out += self._faults.on(message, now)

    def _on_assigned(self, message: StrategiesAssigned, now: int, out: list[Message]) -> None:
        lost, gained = self._assignment.change(message.accounts)
        for account in lost:
            strategy = self._strategies[account]
            # Its orders are the next owner's to cancel.
            strategy.desk.open.clear()
            if account in self._uncancelled:
                self._uncancelled.remove(account)
            strategy.desk.fence = 0
            strategy.reset()
            self._change(account, STANDBY, "UNASSIGNED", now, out)
        for account in gained:
            strategy = self._strategies[account]
            strategy.desk.fence = self._assignment.fences[account]
            strategy.take_over(now)
            if self._connected:
                self._begin(account, "ASSIGNED", now, out)
            else:
                strategy.desk.open.clear()
                strategy.reset()
                self._change(account, DISCONNECTED, "ASSIGNED", now, out)

    def _disconnect(self, reason: str, now: int, out: list[Message]) -> None:
        self._connected = False
        for account in self._assignment.fences:
            self._change(account, DISCONNECTED, reason, now, out)

    def _reconnect(self, now: int, out: list[Message]) -> None:
        self._connected = True
        for account in self._assignment.fences:
            self._begin(account, "RECONNECTED", now, out)

    def _begin(self, account: str, reason: str, now: int, out: list[Message]) -> None:
        """Start from nothing: what is at the venue from before is cancelled first."""
        strategy = self._strategies[account]
        strategy.desk.cancel_all(out)
        strategy.reset()
        self._change(account, STOPPED if strategy.desk.killed else RUNNING, reason, now, out)

    def _change(self, account: str, state: str, reason: str, now: int, out: list[Message]) -> None:
        if self._states[account] != state:
            self._states[account] = state
            kind = next(k for k, name in self._kinds.items() if name == account)
            out.append(StrategyStateChanged(kind, account, state, reason, now))

    def _begin_fault(
        self, fault_id: str, fault: StrategyMalfunction, now: int
    ) -> Sequence[Message]:
        account = self._kinds.get(fault.strategy, fault.strategy)
        strategy = self._strategies.get(account)
        if strategy is None:
            raise ValueError(f"UNKNOWN_STRATEGY {fault.strategy}")
        if fault.mode not in MODES:
            raise ValueError(f"UNKNOWN_MODE {fault.mode}")
        if fault.mode == "stale-quotes" and not isinstance(strategy, MarketMaking):
            raise ValueError(f"NO_QUOTES {fault.strategy}")
        if strategy.desk.malfunction.mode:
            raise ValueError(f"MALFUNCTIONS_ALREADY {fault.strategy}")
        strategy.desk.malfunction.begin(fault, now)
        if fault.mode == "runaway-repeat":
            return [Wake(now + 1, RUNAWAY + account)]
        return []

    def _end_fault(self, fault_id: str, fault: StrategyMalfunction, now: int) -> Sequence[Message]:
        account = self._kinds.get(fault.strategy, fault.strategy)
        out: list[Message] = []
        strategy = self._strategies[account]
        strategy.desk.malfunction.end()
        strategy.reset()
        if account in self._assignment:
            strategy.desk.cancel_all(out)
        return out

    def _run_away(self, account: str, now: int, out: list[Message]) -> None:
        """Ten bursts a second at most; against the kill switch, too: nobody told the algorithm."""
        desk = self._strategies[account].desk
        rate = desk.malfunction.rate
        if desk.malfunction.mode != "runaway-repeat" or rate <= 0:
            return
        bursts = min(10, rate)
        if self._connected and account in self._assignment:
            desk.repeat(rate // bursts, out)
        out.append(Wake(now + SECOND // bursts, RUNAWAY + account))

    def _malfunction(self, strategy: Strategy, now: int, out: list[Message]) -> None:
        """What goes wrong once a tick, until the kill switch stops it."""
        desk = strategy.desk
        if desk.killed or not self._connected or desk.account not in self._assignment:
            return
        symbol = desk.symbols[0]
        if desk.malfunction.mode == "position-growth" and symbol in desk.tops:
            desk.take(symbol, BUY, 4 * STEP, out)
        elif desk.malfunction.mode == "self-trading" and symbol in desk.tops:
            self._cross(desk, symbol, out)

    def _cross(self, desk: Desk, symbol: str, out: list[Message]) -> None:
        """Sell to another of the firm's accounts, inside everybody's prices: no risk changes."""
        others = [
            s.desk
            for s in self._strategies.values()
            if s.desk is not desk
            and s.desk.account in self._assignment
            and symbol in s.desk.tops
            and not s.desk.killed
        ]
        if others:
            desk.cross(others[0], symbol, out)
