"""Settlement instructions, from the close of netting until the last unit is booked.

Under a fault an instruction may be booked late, in part or not at all. It then fails, is retried
and costs penalties, by the rules of the European CSDR.
"""

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

#: In ascending severity: where several faults affect one asset, the most severe one counts.
MODES = (DELAY, PARTIAL, FAIL, STUCK)

#: Penalty of one basis point of the value per day, as for liquid instruments under the CSDR.
PENALTY_DIVISOR = 10_000

_REASONS = {
    DELAY: "SETTLEMENT_DELAYED",
    PARTIAL: "PARTIALLY_SETTLED",
    FAIL: "DELIVERY_FAILED",
}


class Instruction(msgspec.Struct, gc=False):
    """An open instruction: ``account`` is to receive ``remaining`` (deliver it, if negative).

    ``failed`` is set once its failure has been announced by SettlementFailed. ``days_charged``
    counts the days for which penalties have been charged so far.
    """

    instruction_id: str
    account: str
    asset: str
    remaining: int
    settlement_date: int
    failed: bool = False
    days_charged: int = 0


class Settlement:
    """Keeps the open instructions, oldest first, and settles them in ``ledger`` run by run.

    ``charged`` are the accounts that pay penalties; ``netting`` gives the value of an amount.

    An instruction that is not booked in time fails once (SettlementFailed), is retried at every
    run, and costs a penalty for each day that it is late; a day that has begun counts in full. For
    a stuck asset a run does nothing at all: nothing is reported and nothing charged, until the
    first run after the fault catches up. ``last_run`` is the scheduled time of the newest run.
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
        """Return the open instructions whose settlement date is not after the newest run."""
        return [i for i in self._open.values() if i.settlement_date <= self.last_run]

    def instruct(self, nets: Iterable[Net], settlement_date: int, now: int) -> list[Message]:
        """Open an instruction for each net, due at ``settlement_date``."""
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
        """Settle what is due by ``run``, the scheduled time of this run.

        ``faults`` has the active fault of each affected asset.
        """
        self.last_run = run
        out: list[Message] = []
        for instruction in self.overdue():
            fault = faults.get(instruction.asset)
            if fault is None:
                self._settle(instruction, instruction.remaining, run, now, out)
            elif fault.mode != STUCK:
                self._settle_under_fault(instruction, fault, run, now, out)
        return out

    def state(self) -> dict[str, Any]:
        """Return everything that decides future behaviour, as plain data to be compared."""
        return {
            "open": [msgspec.to_builtins(i) for i in self._open.values()],
            "last_id": self._last_id,
            "last_run": self.last_run,
        }

    def _settle_under_fault(
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
        """Charge penalties for the days late that have begun before ``until``, if not yet charged.

        Accounts outside ``charged`` pay none.
        """
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
    """Return what a partial settlement books of ``remaining``, rounded towards zero."""
    part = abs(remaining) * fault.fraction_ppm // PPM
    return part if remaining > 0 else -part
