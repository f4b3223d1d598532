"""Custody and settlement: transfers, instructions, ledger postings and balance queries.

Amounts are in 1e-8 of the asset.
"""

import msgspec

from trading.messages.base import Message


class Deposit(Message):
    """Credit ``amount`` to an account, from outside. ``reference`` is unique per account."""

    account: str
    asset: str
    amount: int
    reference: str


class Withdraw(Message):
    """Debit ``amount`` from an account, to the outside. ``reference`` is unique per account."""

    account: str
    asset: str
    amount: int
    reference: str


class TransferCompleted(Message):
    """A transfer has been booked. ``kind`` is deposit or withdrawal."""

    kind: str
    account: str
    asset: str
    amount: int
    reference: str
    event_time: int


class TransferRejected(Message):
    """A transfer was rejected, and nothing booked. ``reason`` is UPPER_SNAKE with values."""

    kind: str
    account: str
    asset: str
    amount: int
    reference: str
    reason: str
    event_time: int


class SettlementInstructed(Message):
    """The net of one settlement cycle in one account and asset is to be settled.

    The account receives ``amount``, or delivers it if it is negative. ``trades`` is how many trades
    it nets, ``last_trade_id`` the newest of them.
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
    """An instruction has been booked by ``amount``; ``remaining`` (of the same sign) is
    still open.
    """

    instruction_id: str
    account: str
    asset: str
    amount: int
    remaining: int
    settlement_date: int
    event_time: int


class SettlementFailed(Message):
    """An instruction was not, or not completely, settled at its date. ``reason`` is UPPER_SNAKE."""

    instruction_id: str
    account: str
    asset: str
    remaining: int
    settlement_date: int
    reason: str
    event_time: int


class PenaltyCharged(Message):
    """A cash penalty for one day of settlement failure, in the penalty asset.

    Under the CSDR it is 1 bp of the value per day for liquid instruments.
    """

    instruction_id: str
    account: str
    asset: str
    amount: int
    days_late: int
    event_time: int


class Posting(msgspec.Struct, gc=False):
    """One leg of a ledger entry. A positive ``amount`` credits the account."""

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
    """Ask the custodian for the balances of the firm; answered with :class:`CustodySnapshot` to
    ``source``.
    """

    source: str
    request_id: str


class CustodyBalance(msgspec.Struct, gc=False):
    """Balance of one account in one asset.

    ``settled`` is booked; ``pending`` is the net still to settle, positive if it is to be received.
    """

    account: str
    asset: str
    settled: int
    pending: int


class OverdueSettlement(msgspec.Struct, gc=False):
    """An instruction that was not completely settled at its date."""

    instruction_id: str
    account: str
    asset: str
    remaining: int
    settlement_date: int


class CustodySnapshot(Message):
    """Balances and overdue instructions of the firm's accounts, addressed to ``to``.

    The balances include every trade up to ``last_trade_id``.
    """

    to: str
    request_id: str
    balances: tuple[CustodyBalance, ...]
    overdue: tuple[OverdueSettlement, ...]
    last_trade_id: int
    event_time: int
