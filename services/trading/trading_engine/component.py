"""The trading engine as a component.

It passes market data to the strategies and their orders to the exchange, follows connection state,
kill switches and account assignments, and plays strategy malfunctions.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trading.messages import Message, Start, Wake
from trading.messages.chaos import StrategyMalfunction
from trading.messages.market import BookTop, Ping
from trading.messages.orders import (
    BUY,
    ExecutionReport,
    KillSwitchChanged,
    RequestFailed,
    RequestFailure,
)
from trading.messages.strategy import StrategiesAssigned, StrategyState, StrategyStateChanged
from trading.runtime.component import answer_ping
from trading.runtime.faults import LEASE_TOPIC, FaultBoard, fault_handlers
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

#: Timer topics: of the regular tick, and of a runaway strategy (followed by the account).
TICK, RUNAWAY = "tick", "runaway/"

#: Class and prefix of client order ids for each kind of strategy in the universe.
_KINDS: dict[str, tuple[type[Strategy], str]] = {
    "market-making": (MarketMaking, "mm"),
    "momentum": (Momentum, "mo"),
    "mean-reversion": (MeanReversion, "mr"),
    "index-rebalancing": (IndexRebalancing, "ix"),
}


class TradingEngine:
    """Runs one strategy for each of the firm's automated accounts.

    It is an ordinary client of the exchange. Where several engines share the accounts, each trades
    for those that are assigned to it. It follows the market and the positions of the others, so
    that it can take them over, but sends nothing for them.

    Strategies are deterministic: there is no seed. ``tick`` is the interval of the regular
    timer in simulated microseconds. Without a book update for five seconds or three ticks,
    whichever is longer, the engine takes the exchange to be disconnected.
    """

    name = TRADING_ENGINE

    def __init__(self, universe: Universe, *, tick: int = SECOND) -> None:
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
        self._states = dict.fromkeys(self._strategies, StrategyState.RUNNING)
        self._last_update = 0
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
            **fault_handlers(self._on_fault),
        }

    def on(self, message: Message, now: int) -> Sequence[Message]:
        """Handle one message at simulated time ``now``; return the messages to send."""
        handler = self._handlers.get(type(message))
        if handler is None:
            return ()
        out: list[Message] = []
        handler(message, now, out)
        return out

    def state(self) -> dict[str, Any]:
        """Return everything that decides future behaviour, as plain data to be compared."""
        return {
            "strategies": {
                name: {"desk": s.desk.state(), "own": s.state(), "state": self._states[name]}
                for name, s in self._strategies.items()
            },
            "assigned": dict(self._assignment.fences),
            "uncancelled": list(self._uncancelled),
            "heard": self._last_update,
            "connected": self._connected,
            "faults": self._faults.state(),
        }

    @property
    def fences(self) -> Mapping[str, int]:
        """Return the accounts that this engine trades for, with their fencing numbers (0: none).

        They apply to the messages that the latest call of :meth:`on` returned.
        """
        return self._assignment.fences

    def strategies(self) -> list[tuple[str, StrategyState, Desk]]:
        """Return kind, state and desk of every strategy."""
        return [
            (kind, self._states[account], self._strategies[account].desk)
            for kind, account in self._kinds.items()
        ]

    def _on_start(self, message: Start, now: int, out: list[Message]) -> None:
        self._last_update = now
        out.append(Wake(now - now % self._tick + self._tick + self._tick // 2, TICK))

    def _on_wake(self, message: Wake, now: int, out: list[Message]) -> None:
        if message.topic.startswith(LEASE_TOPIC):
            out += self._faults.on(message, now)
        elif message.topic.startswith(RUNAWAY):
            self._send_runaway(message.topic.removeprefix(RUNAWAY), now, out)
        else:
            out.append(Wake(now + self._tick, TICK))
            if self._connected and now - self._last_update > max(5 * SECOND, 3 * self._tick):
                self._disconnect("NO_BOOK_UPDATES", now, out)
            elif self._connected and self._uncancelled:
                accounts, self._uncancelled = self._uncancelled, []
                for account in accounts:
                    self._start_trading(account, "CANCEL_FAILED", now, out)
            for strategy in self._strategies.values():
                self._play_malfunction(strategy, now, out)

    def _on_ping(self, message: Ping, now: int, out: list[Message]) -> None:
        out.append(answer_ping(self.name, message, now))

    def _on_top(self, top: BookTop, now: int, out: list[Message]) -> None:
        self._last_update = now
        if not self._connected:
            self._reconnect(now, out)
        for strategy in self._by_symbol[top.symbol]:
            desk = strategy.desk
            desk.update_top(top)
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
            self._resume(change.account, f"KILL_SWITCH {change.reason}", now, out)

    def _on_failure(self, failure: RequestFailed, now: int, out: list[Message]) -> None:
        """Close an order that did not reach the exchange, and retry a failed cancel-all.

        An order with unknown execution status stays open until its reports arrive. A cancel-all is
        retried only under a lease: it may concern orders of the account's former owner.
        """
        strategy = self._strategies.get(failure.account)
        if strategy is None or failure.reason is RequestFailure.EXECUTION_STATUS_UNKNOWN:
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
            # The next owner cancels its orders.
            strategy.desk.open.clear()
            if account in self._uncancelled:
                self._uncancelled.remove(account)
            strategy.desk.fence = 0
            strategy.reset()
            self._set_state(account, StrategyState.STANDBY, "UNASSIGNED", now, out)
        for account in gained:
            strategy = self._strategies[account]
            strategy.desk.fence = self._assignment.fences[account]
            strategy.take_over(now)
            if self._connected:
                self._start_trading(account, "ASSIGNED", now, out)
            else:
                strategy.desk.open.clear()
                strategy.reset()
                self._set_state(account, StrategyState.DISCONNECTED, "ASSIGNED", now, out)

    def _disconnect(self, reason: str, now: int, out: list[Message]) -> None:
        self._connected = False
        for account in self._assignment.fences:
            self._set_state(account, StrategyState.DISCONNECTED, reason, now, out)

    def _reconnect(self, now: int, out: list[Message]) -> None:
        self._connected = True
        for account in self._assignment.fences:
            self._start_trading(account, "RECONNECTED", now, out)

    def _start_trading(self, account: str, reason: str, now: int, out: list[Message]) -> None:
        """Start trading for an account: cancel all its orders at the exchange first."""
        strategy = self._strategies[account]
        strategy.desk.cancel_all(out)
        strategy.reset()
        self._resume(account, reason, now, out)

    def _resume(self, account: str, reason: str, now: int, out: list[Message]) -> None:
        """Let a strategy run, unless its kill switch is engaged."""
        killed = self._strategies[account].desk.killed
        state = StrategyState.STOPPED if killed else StrategyState.RUNNING
        self._set_state(account, state, reason, now, out)

    def _set_state(
        self, account: str, state: StrategyState, reason: str, now: int, out: list[Message]
    ) -> None:
        """Record and publish the state of a strategy, if it has changed."""
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

    def _send_runaway(self, account: str, now: int, out: list[Message]) -> None:
        """Send one burst of a runaway strategy's orders, and schedule the next.

        There are at most ten bursts a second. The kill switch does not stop them: a runaway
        algorithm ignores rejections.
        """
        desk = self._strategies[account].desk
        rate = desk.malfunction.rate
        if desk.malfunction.mode != "runaway-repeat" or rate <= 0:
            return
        bursts = min(10, rate)
        if self._connected and account in self._assignment:
            desk.repeat(rate // bursts, out)
        out.append(Wake(now + SECOND // bursts, RUNAWAY + account))

    def _play_malfunction(self, strategy: Strategy, now: int, out: list[Message]) -> None:
        """Play the malfunctions that act once a tick, unless the kill switch is engaged."""
        desk = strategy.desk
        if desk.killed or not self._connected or desk.account not in self._assignment:
            return
        symbol = desk.symbols[0]
        if desk.malfunction.mode == "position-growth" and symbol in desk.tops:
            desk.send_ioc(symbol, BUY, 4 * STEP, out)
        elif desk.malfunction.mode == "self-trading" and symbol in desk.tops:
            self._trade_with_itself(desk, symbol, out)

    def _trade_with_itself(self, desk: Desk, symbol: str, out: list[Message]) -> None:
        """Sell to another of the firm's accounts at the mid price: the firm's risk is unchanged."""
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
