"""Instructions from their netting to the last unit booked, through every fault."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from trading.custodian.ledger import CLEARING, PENALTIES, Ledger, penalty_account
from trading.custodian.netting import Net, Netting
from trading.messages import Message
from trading.messages.chaos import SettlementFailure
from trading.messages.custody import (
    PenaltyCharged,
    Settled,
    SettlementFailed,
    SettlementInstructed,
)
from trading.units import DAY, PPM

DELAY = "delay"
FAIL = "fail"
PARTIAL = "partial"
STUCK = "stuck"

#: From the mildest: where several faults hit one asset, the gravest one counts.
MODES = (DELAY, PARTIAL, FAIL, STUCK)

#: One basis point of the value a day, as for liquid instruments in CSDR.
PENALTY_DIVISOR = 10_000

_REASONS = {
    DELAY: "SETTLEMENT_DELAYED",
    PARTIAL: "PARTIALLY_SETTLED",
    FAIL: "DELIVERY_FAILED",
}


class Instruction(msgspec.Struct, gc=False):
    """``failed``: its settlement date has passed and was announced. ``days_charged``: penalties
    so far.
    """

    instruction_id: str
    account: str
    asset: str
    remaining: int
    settlement_date: int
    failed: bool = False
    days_charged: int = 0


class Settlement:
    """The open instructions, oldest first. ``charged``: the accounts that pay penalties.

    What is not booked in time fails once (SettlementFailed), is retried at every run, and costs a
    penalty for each day that it is late, a started day in full. A stuck asset's run does not
    happen at all: nothing is said, nothing charged, until the first run afterwards catches up.
    """

    def __init__(self, ledger: Ledger, netting: Netting, charged: Iterable[str]) -> None:
        self._ledger = ledger
        self._netting = netting
        self._charged = {account: penalty_account(account) for account in charged}
        self._open: dict[str, Instruction] = {}
        self._last_id = 0
        self.last_run = 0

    def __iter__(self) -> Iterator[Instruction]:
        return iter(self._open.values())

    def overdue(self) -> list[Instruction]:
        """What the run at its settlement date did not settle."""
        return [i for i in self._open.values() if i.settlement_date <= self.last_run]

    def instruct(self, nets: Iterable[Net], settlement_date: int, now: int) -> list[Message]:
        out: list[Message] = []
        for net in nets:
            self._last_id += 1
            key = f"S{self._last_id:06d}"
            self._open[key] = Instruction(key, net.account, net.asset, net.amount, settlement_date)
            out.append(
                SettlementInstructed(
                    key,
                    net.account,
                    net.asset,
                    net.amount,
                    net.trades,
                    net.last_trade_id,
                    settlement_date,
                    now,
                )
            )
        return out

    def run(self, run: int, faults: Mapping[str, SettlementFailure], now: int) -> list[Message]:
        """Settle what is due by ``run``. ``faults``: by asset."""
        self.last_run = run
        out: list[Message] = []
        for instruction in self.overdue():
            fault = faults.get(instruction.asset)
            if fault is None:
                self._settle(instruction, instruction.remaining, run, now, out)
            elif fault.mode != STUCK:
                self._hinder(instruction, fault, run, now, out)
        return out

    def state(self) -> dict[str, Any]:
        return {
            "open": [msgspec.to_builtins(i) for i in self._open.values()],
            "last_id": self._last_id,
            "last_run": self.last_run,
        }

    def _hinder(
        self,
        instruction: Instruction,
        fault: SettlementFailure,
        run: int,
        now: int,
        out: list[Message],
    ) -> None:
        if fault.mode == DELAY and run >= instruction.settlement_date + fault.delay:
            self._settle(instruction, instruction.remaining, run, now, out)
            return
        if not instruction.failed:
            instruction.failed = True
            if fault.mode == PARTIAL:
                self._settle(instruction, _part(instruction.remaining, fault), run, now, out)
            if instruction.remaining:
                out.append(
                    SettlementFailed(
                        instruction.instruction_id,
                        instruction.account,
                        instruction.asset,
                        instruction.remaining,
                        instruction.settlement_date,
                        _REASONS[fault.mode],
                        now,
                    )
                )
        if instruction.remaining:
            self._charge(instruction, run + 1, now, out)

    def _settle(
        self, instruction: Instruction, amount: int, run: int, now: int, out: list[Message]
    ) -> None:
        self._charge(instruction, run, now, out)
        if not amount:
            return
        key, account, asset = instruction.instruction_id, instruction.account, instruction.asset
        out.append(self._ledger.move(f"settlement {key}", CLEARING, account, asset, amount, now))
        instruction.remaining -= amount
        if not instruction.remaining:
            del self._open[key]
        out.append(
            Settled(
                key, account, asset, amount, instruction.remaining, instruction.settlement_date, now
            )
        )

    def _charge(self, instruction: Instruction, until: int, now: int, out: list[Message]) -> None:
        """Penalties for the days that have begun before ``until``."""
        account = instruction.account
        accrual = self._charged.get(account)
        if accrual is None:
            return
        days = -(-(until - instruction.settlement_date) // DAY)
        asset, value = self._netting.value(instruction.asset, abs(instruction.remaining))
        amount = value // PENALTY_DIVISOR
        key = instruction.instruction_id
        while instruction.days_charged < days:
            instruction.days_charged += 1
            if amount:
                cause = f"penalty {key} day {instruction.days_charged}"
                out.append(self._ledger.move(cause, accrual, PENALTIES, asset, amount, now))
                out.append(
                    PenaltyCharged(key, account, asset, amount, instruction.days_charged, now)
                )


def _part(remaining: int, fault: SettlementFailure) -> int:
    part = abs(remaining) * fault.fraction_ppm // PPM
    return part if remaining > 0 else -part
