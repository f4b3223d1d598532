"""The custodian: knows who owns what, and moves it when trades settle."""

from collections.abc import Callable, Sequence
from typing import Any

from trading.custodian.ledger import EQUITY, Ledger
from trading.custodian.netting import Netting
from trading.custodian.settlement import MODES, PARTIAL, Settlement
from trading.custodian.transfers import Transfers
from trading.messages import Message, Start, Wake
from trading.messages.chaos import InjectFault, RecoverFault, RenewFault, SettlementFailure
from trading.messages.custody import (
    CustodyBalance,
    CustodyQuery,
    CustodySnapshot,
    Deposit,
    OverdueSettlement,
    Posting,
    Withdraw,
)
from trading.messages.market import Ping
from trading.messages.orders import Trade
from trading.runtime.component import answer_ping
from trading.runtime.faults import FaultBoard, no_effect
from trading.scenario.settlement import SettlementTerms
from trading.topology import CUSTODIAN
from trading.units import PPM
from trading.universe import Universe

RUN_TOPIC = "settlement-run"

_DEFAULT_TERMS = SettlementTerms()


class Custodian:
    """Learns every :class:`Trade`, settles the nets by ``terms``, answers :class:`CustodyQuery`.

    ``settled`` plus ``pending`` of a snapshot is what the exchange has in the account once it has
    executed the same ``last_trade_id`` (transfers apart: the exchange does not know of them).
    Plays :class:`SettlementFailure`.
    """

    name = CUSTODIAN

    def __init__(self, universe: Universe, *, terms: SettlementTerms = _DEFAULT_TERMS) -> None:
        self._universe = universe
        self._terms = terms
        self._ledger = Ledger()
        self._netting = Netting(universe)
        self._settlement = Settlement(self._ledger, self._netting, universe.firm_accounts)
        self._transfers = Transfers(universe, self._ledger, self._owed)
        self._faults = FaultBoard(self.name, (SettlementFailure,), self._check_fault, no_effect)
        self._assets = tuple(asset.name for asset in universe.assets)
        self._firm = {account: None for account in universe.firm_accounts}
        self._started = False
        self._handlers: dict[type[Message], Callable[[Any, int], Sequence[Message]]] = {
            Trade: self._on_trade,
            CustodyQuery: self._on_query,
            Wake: self._on_wake,
            Ping: self._on_ping,
            Deposit: self._transfers.on,
            Withdraw: self._transfers.on,
            InjectFault: self._faults.on,
            RenewFault: self._faults.on,
            RecoverFault: self._faults.on,
            Start: self._on_start,
        }

    def on(self, message: Message, now: int) -> Sequence[Message]:
        handler = self._handlers.get(type(message))
        return handler(message, now) if handler is not None else ()

    def state(self) -> dict[str, Any]:
        return {
            "started": self._started,
            "ledger": self._ledger.state(),
            "netting": self._netting.state(),
            "settlement": self._settlement.state(),
            "transfers": self._transfers.state(),
            "faults": self._faults.state(),
        }

    def _on_start(self, message: Start, now: int) -> Sequence[Message]:
        if self._started:
            return ()
        self._started = True
        out: list[Message] = []
        for account in self._universe.accounts:
            legs: list[Posting] = []
            for asset, amount in account.balances:
                legs += (Posting(account.name, asset, amount), Posting(EQUITY, asset, -amount))
            out.append(self._ledger.post(f"opening {account.name}", legs, now))
        out.append(Wake(self._terms.next_run(now), RUN_TOPIC))
        return out

    def _on_trade(self, message: Trade, now: int) -> Sequence[Message]:
        self._netting.add(message)
        return ()

    def _on_wake(self, message: Wake, now: int) -> Sequence[Message]:
        if message.topic != RUN_TOPIC:
            return self._faults.on(message, now)
        # The run's own time decides what is due: a timer that comes late makes nothing overdue.
        run = message.at
        out: list[Message] = []
        if self._terms.closes_netting(run):
            date = self._terms.settlement_date(run)
            out += self._settlement.instruct(self._netting.close(), date, now)
        out += self._settlement.run(run, self._hindered(), now)
        out.append(Wake(self._terms.next_run(run), RUN_TOPIC))
        return out

    def _on_ping(self, message: Ping, now: int) -> Sequence[Message]:
        return (answer_ping(self.name, message, now),)

    def _on_query(self, message: CustodyQuery, now: int) -> Sequence[Message]:
        return (self.snapshot(message.source, message.request_id, now),)

    def snapshot(self, to: str, request_id: str, now: int) -> CustodySnapshot:
        """What the firm's accounts hold and are owed at this moment."""
        pending: dict[str, dict[str, int]] = {account: {} for account in self._firm}
        for account, asset, amount in self._unsettled():
            owed = pending.get(account)
            if owed is not None:
                owed[asset] = owed.get(asset, 0) + amount
        balances = []
        for account, owed in pending.items():
            held = self._ledger.of(account)
            for asset in self._assets:
                settled, due = held.get(asset, 0), owed.get(asset, 0)
                if settled or due:
                    balances.append(CustodyBalance(account, asset, settled, due))
        overdue = tuple(
            OverdueSettlement(i.instruction_id, i.account, i.asset, i.remaining, i.settlement_date)
            for i in self._settlement.overdue()
            if i.account in self._firm
        )
        return CustodySnapshot(
            to, request_id, tuple(balances), overdue, self._netting.last_trade_id, now
        )

    def _unsettled(self) -> list[tuple[str, str, int]]:
        """Account, asset and amount of everything traded and not booked."""
        return [(i.account, i.asset, i.remaining) for i in self._settlement] + [
            (net.account, net.asset, net.amount) for net in self._netting.open_nets()
        ]

    def _owed(self, account: str, asset: str) -> int:
        """What the account must still deliver; what it is to receive may fail to come."""
        return -sum(
            amount
            for holder, what, amount in self._unsettled()
            if holder == account and what == asset and amount < 0
        )

    def _hindered(self) -> dict[str, SettlementFailure]:
        """The fault of each asset, the gravest where there are several."""
        faults: dict[str, SettlementFailure] = {}
        for lease in self._faults.active.values():
            fault = lease.fault
            if not isinstance(fault, SettlementFailure):
                continue
            for asset in fault.assets:
                known = faults.get(asset)
                if known is None or MODES.index(fault.mode) > MODES.index(known.mode):
                    faults[asset] = fault
        return faults

    def _check_fault(self, fault_id: str, fault: SettlementFailure, now: int) -> Sequence[Message]:
        if fault.mode not in MODES:
            raise ValueError(f"UNKNOWN_MODE mode={fault.mode}")
        for asset in fault.assets:
            if asset not in self._assets:
                raise ValueError(f"UNKNOWN_ASSET asset={asset}")
        if fault.mode == PARTIAL and not 0 <= fault.fraction_ppm < PPM:
            raise ValueError(f"FRACTION_IMPOSSIBLE fraction_ppm={fault.fraction_ppm}")
        return ()
