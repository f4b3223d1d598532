"""Custody and settlement."""

import msgspec

from trading.messages.base import Message


class Deposit(Message):
    account: str
    asset: str
    amount: int
    reference: str


class Withdraw(Message):
    account: str
    asset: str
    amount: int
    reference: str


class TransferCompleted(Message):
    """``kind``: deposit or withdrawal."""

    kind: str
    account: str
    asset: str
    amount: int
    reference: str
    event_time: int


class TransferRejected(Message):
    kind: str
    account: str
    asset: str
    amount: int
    reference: str
    reason: str
    event_time: int


class SettlementInstructed(Message):
    """The net of one cycle, account and asset. ``amount`` > 0: the account receives.

    ``last_trade_id``: newest trade in the net.
    """

    instruction_id: str
    account: str
    asset: str
    amount: int
    trades: int
    last_trade_id: int
    settlement_date: int
    event_time: int


class Settled(Message):
    """``amount`` has been booked; ``remaining`` of the instruction is still to come (same sign)."""

    instruction_id: str
    account: str
    asset: str
    amount: int
    remaining: int
    settlement_date: int
    event_time: int


class SettlementFailed(Message):
    """Not (wholly) settled at its intended date. ``reason``: UPPER_SNAKE."""

    instruction_id: str
    account: str
    asset: str
    remaining: int
    settlement_date: int
    reason: str
    event_time: int


class PenaltyCharged(Message):
    """Cash penalty for one day of failing, in the penalty asset (CSDR: 1 bp a day, liquid)."""

    instruction_id: str
    account: str
    asset: str
    amount: int
    days_late: int
    event_time: int


class Posting(msgspec.Struct, gc=False):
    """One leg of a journal entry. Positive ``amount`` credits the account."""

    account: str
    asset: str
    amount: int


class LedgerPosted(Message):
    """A double-entry posting: the amounts sum to zero in every asset."""

    entry_id: int
    cause: str
    postings: tuple[Posting, ...]
    event_time: int


class CustodyQuery(Message):
    source: str
    request_id: str


class CustodyBalance(msgspec.Struct, gc=False):
    """``settled`` is booked; ``pending`` is the net still to settle (receive > 0)."""

    account: str
    asset: str
    settled: int
    pending: int


class OverdueSettlement(msgspec.Struct, gc=False):
    instruction_id: str
    account: str
    asset: str
    remaining: int
    settlement_date: int


class CustodySnapshot(Message):
    """Firm accounts only. ``last_trade_id``: every trade up to this one is in the balances."""

    to: str
    request_id: str
    balances: tuple[CustodyBalance, ...]
    overdue: tuple[OverdueSettlement, ...]
    last_trade_id: int
    event_time: int
