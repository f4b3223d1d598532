"""The custodian as a component: keeps the record of ownership, and moves assets as trades settle.

Trades are netted by account and asset until a settlement cycle closes; each net becomes an
instruction, which is booked in the ledger at its settlement date.
"""

from collections.abc import Callable, Sequence
from typing import Any

from trading.custodian.ledger import EQUITY, Ledger
from trading.custodian.netting import Netting
from trading.custodian.settlement import MODES, PARTIAL, Settlement
from trading.custodian.transfers import Transfers
from trading.messages import Message, Start, Wake
from trading.messages.chaos import SettlementFailure
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
from trading.runtime.faults import FaultBoard, fault_handlers, no_effect
from trading.scenario.settlement import SettlementTerms
from trading.topology import CUSTODIAN
from trading.units import PPM
from trading.universe import Universe

#: Topic of the timer of settlement runs.
RUN_TOPIC = "settlement-run"

_DEFAULT_TERMS = SettlementTerms()


class Custodian:
    """Nets every :class:`Trade`, settles the nets by ``terms``, answers :class:`CustodyQuery`.

    ``universe`` gives the assets and the firm's accounts with their opening balances. ``terms``
    decide when netting closes and when a net is due.

    In a snapshot, ``settled`` plus ``pending`` is the balance that the exchange has for the account
    when its newest trade is ``last_trade_id``; except for deposits and withdrawals, which the
    exchange does not know. The component plays :class:`SettlementFailure` faults.
    """

    name = CUSTODIAN

    def __init__(self, universe: Universe, *, terms: SettlementTerms = _DEFAULT_TERMS) -> None:
        self._universe = universe
        self._terms = terms
        self._ledger = Ledger()
        self._netting = Netting(universe)
        self._settlement = Settlement(self._ledger, self._netting, universe.firm_accounts)
        self._transfers = Transfers(universe, self._ledger, self._deliverable)
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
            **fault_handlers(self._faults.on),
            Start: self._on_start,
        }

    def on(self, message: Message, now: int) -> Sequence[Message]:
        """Handle one message at simulated time ``now``; return the messages to send."""
        handler = self._handlers.get(type(message))
        return handler(message, now) if handler is not None else ()

    def state(self) -> dict[str, Any]:
        """Return everything that decides future behaviour, as plain data to be compared."""
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
        # What is due depends on the scheduled time of the run, so that a late timer makes nothing
        # overdue.
        run = message.at
        out: list[Message] = []
        if self._terms.closes_netting(run):
            date = self._terms.settlement_date(run)
            out += self._settlement.instruct(self._netting.close(), date, now)
        out += self._settlement.run(run, self._faults_by_asset(), now)
        out.append(Wake(self._terms.next_run(run), RUN_TOPIC))
        return out

    def _on_ping(self, message: Ping, now: int) -> Sequence[Message]:
        return (answer_ping(self.name, message, now),)

    def _on_query(self, message: CustodyQuery, now: int) -> Sequence[Message]:
        return (self.snapshot(message.source, message.request_id, now),)

    def snapshot(self, to: str, request_id: str, now: int) -> CustodySnapshot:
        """Return settled and pending balances of the firm's accounts, and what is overdue.

        Balances that are zero on both counts are left out.
        """
        pending: dict[str, dict[str, int]] = {account: {} for account in self._firm}
        for account, asset, amount in self._unsettled():
            pending_by_asset = pending.get(account)
            if pending_by_asset is not None:
                pending_by_asset[asset] = pending_by_asset.get(asset, 0) + amount
        balances = []
        for account, pending_by_asset in pending.items():
            settled_by_asset = self._ledger.of(account)
            for asset in self._assets:
                settled, due = settled_by_asset.get(asset, 0), pending_by_asset.get(asset, 0)
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
        """Return account, asset and amount of everything that is traded and not booked yet."""
        return [(i.account, i.asset, i.remaining) for i in self._settlement] + [
            (net.account, net.asset, net.amount) for net in self._netting.open_nets()
        ]

    def _deliverable(self, account: str, asset: str) -> int:
        """Return what ``account`` still has to deliver of ``asset``, in 1e-8.

        What it is to receive is not subtracted, since its delivery may fail.
        """
        return -sum(
            amount
            for owner, unsettled, amount in self._unsettled()
            if owner == account and unsettled == asset and amount < 0
        )

    def _faults_by_asset(self) -> dict[str, SettlementFailure]:
        """Return the active fault of each asset; where there are several, the most severe one."""
        faults: dict[str, SettlementFailure] = {}
        for lease in self._faults.active.values():
            fault = lease.fault
            if not isinstance(fault, SettlementFailure):
                continue
            for asset in fault.assets:
                other = faults.get(asset)
                if other is None or MODES.index(fault.mode) > MODES.index(other.mode):
                    faults[asset] = fault
        return faults

    def _check_fault(self, fault_id: str, fault: SettlementFailure, now: int) -> Sequence[Message]:
        """Raise ValueError, with an UPPER_SNAKE reason, for a fault that cannot be played."""
        if fault.mode not in MODES:
            raise ValueError(f"UNKNOWN_MODE mode={fault.mode}")
        for asset in fault.assets:
            if asset not in self._assets:
                raise ValueError(f"UNKNOWN_ASSET asset={asset}")
        if fault.mode == PARTIAL and not 0 <= fault.fraction_ppm < PPM:
            raise ValueError(f"FRACTION_IMPOSSIBLE fraction_ppm={fault.fraction_ppm}")
        return ()
