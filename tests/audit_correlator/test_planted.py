"""A wrong figure of a single unit in any service is detected, and a damaged journal prevents a
Pass.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import pytest

from trading.embedded.api import load_scenario
from trading.embedded.ecosystem import components
from trading.embedded.run import run_plan
from trading.messages import Delayed, Message
from trading.messages.audit import Discrepancy, JournalEntry
from trading.messages.custody import CustodySnapshot, LedgerPosted
from trading.messages.orders import AccountSnapshot, Trade
from trading.messages.risk import PortfolioReported
from trading.runtime.component import Component
from trading.runtime.journal import MemoryJournal
from trading.scenario.plan import RunPlan
from trading.scenario.result import Outcome, Verdict

replace = msgspec.structs.replace
Change = Callable[[Any], Message]

#: Number of messages that stay unchanged first, so that not only the first message is checked.
UNCHANGED_MESSAGES = 5


class Liar:
    """Wraps a component, and applies ``change`` to its later messages of the type ``kind``."""

    def __init__(self, component: Component, kind: type[Message], change: Change) -> None:
        self.name = component.name
        self._component = component
        self._kind = kind
        self._change = change
        self._count = 0

    def on(self, message: Message, now: int) -> Sequence[Message]:
        """Return the messages of the component, some of them changed."""
        return [self._changed(answer) for answer in self._component.on(message, now)]

    def state(self) -> Any:
        """Return the state of the component."""
        return self._component.state()

    def _changed(self, answer: Message) -> Message:
        if isinstance(answer, Delayed):
            return replace(answer, message=self._changed(answer.message))
        if type(answer) is not self._kind:
            return answer
        self._count += 1
        return self._change(answer) if self._count > UNCHANGED_MESSAGES else answer


@pytest.fixture(scope="module")
def plan() -> RunPlan:
    """Return a plan that settles every minute, so that the ledger has many entries."""
    settlement = "{calendar: intraday, lag: 1, cycle: 1m}"
    return load_scenario("strategy-malfunction", overrides={"settlement": settlement}).plan


def judged(plan: RunPlan, service: str, kind: type[Message], change: Change) -> Verdict:
    """Run the plan with one component that changes its messages, and return the verdict."""
    parts = [Liar(c, kind, change) if c.name == service else c for c in components(plan)]
    return run_plan(plan, control=False, parts=parts).verdict


def richer_account(message: AccountSnapshot) -> Message:
    """Report one unit too much of the first free balance of one account."""
    if message.account != "firm-momentum":
        return message
    first, *rest = message.balances
    return replace(message, balances=(replace(first, free=first.free + 1), *rest))


def hidden_lock(message: AccountSnapshot) -> Message:
    """Report one unit too little of the first locked balance."""
    first, *rest = message.balances
    return replace(message, balances=(replace(first, locked=first.locked - 1), *rest))


def off_balance(message: LedgerPosted) -> Message:
    """Post one unit too much, so that the entry does not sum to zero."""
    first, *rest = message.postings
    return replace(message, postings=(replace(first, amount=first.amount + 1), *rest))


def both_legs(message: LedgerPosted) -> Message:
    """Settle more than was traded, by an entry that still sums to zero."""
    legs = list(message.postings)
    other = next(i for i, leg in enumerate(legs) if i and leg.asset == legs[0].asset)
    legs[0] = replace(legs[0], amount=legs[0].amount + 1)
    legs[other] = replace(legs[other], amount=legs[other].amount - 1)
    return replace(message, postings=tuple(legs))


def settled_more(message: CustodySnapshot) -> Message:
    """Report one unit too much of the first settled balance."""
    first, *rest = message.balances
    return replace(message, balances=(replace(first, settled=first.settled + 1), *rest))


def pending_more(message: CustodySnapshot) -> Message:
    """Report one unit too much of the first pending balance."""
    first, *rest = message.balances
    return replace(message, balances=(replace(first, pending=first.pending + 1), *rest))


def position_more(message: PortfolioReported) -> Message:
    """Report one unit too much of the first position."""
    first, *rest = message.positions
    return replace(message, positions=(replace(first, qty=first.qty + 1), *rest))


def equity_more(message: PortfolioReported) -> Message:
    """Report one unit too much of equity."""
    return replace(message, equity=message.equity + 1)


def pnl_more(message: PortfolioReported) -> Message:
    """Report one unit too much of profit."""
    return replace(message, pnl=message.pnl + 1)


def mark_more(message: PortfolioReported) -> Message:
    """Report a price that was never published."""
    first, *rest = message.marks
    return replace(message, marks=(replace(first, price=first.price + 1), *rest))


def trade_more(message: Trade) -> Message:
    """Report one unit too much of a trade."""
    return replace(message, qty=message.qty + 1)


PLANTED: list[tuple[str, type[Message], Change, set[str], str]] = [
    ("exchange", AccountSnapshot, richer_account, {"CASH", "POSITION"}, "exchange/firm-momentum/"),
    ("exchange", AccountSnapshot, hidden_lock, {"CASH", "POSITION"}, "exchange/"),
    ("custodian", LedgerPosted, off_balance, {"LEDGER"}, "custodian/"),
    ("custodian", LedgerPosted, both_legs, {"LEDGER"}, "custodian/"),
    ("custodian", CustodySnapshot, settled_more, {"CASH", "POSITION"}, "custodian/"),
    ("custodian", CustodySnapshot, pending_more, {"CASH", "POSITION"}, "custodian/"),
    ("risk-monitor", PortfolioReported, position_more, {"CASH", "POSITION"}, "risk-monitor/"),
    ("risk-monitor", PortfolioReported, equity_more, {"PNL"}, "risk-monitor/equity"),
    ("risk-monitor", PortfolioReported, pnl_more, {"PNL"}, "risk-monitor/pnl"),
    ("risk-monitor", PortfolioReported, mark_more, {"PNL"}, "risk-monitor/"),
]


@pytest.mark.parametrize(
    ("service", "kind", "change", "kinds", "where"),
    PLANTED,
    ids=lambda v: getattr(v, "__name__", None),
)
def test_one_unit_is_found_and_named(
    plan: RunPlan, service: str, kind: type[Message], change: Change, kinds: set[str], where: str
) -> None:
    verdict = judged(plan, service, kind, change)
    matching = [
        d for d in verdict.audit.discrepancies if d.kind in kinds and d.where.startswith(where)
    ]
    assert matching, verdict.audit.discrepancies
    assert any(_is_one_unit(d) for d in matching) or change is mark_more
    assert verdict.outcome != Outcome.PASS


def _is_one_unit(discrepancy: Discrepancy) -> bool:
    return abs(discrepancy.expected - discrepancy.actual) == 1


def test_a_trade_that_was_changed_on_its_way_is_found(plan: RunPlan) -> None:
    verdict = judged(plan, "exchange", Trade, trade_more)
    assert verdict.outcome != Outcome.PASS
    assert any(d.kind in ("TRADE", "POSITION") for d in verdict.audit.discrepancies)


def test_nothing_is_found_where_nothing_was_planted(plan: RunPlan) -> None:
    verdict = run_plan(plan, control=False).verdict
    assert (verdict.outcome, verdict.audit.discrepancies) == (Outcome.PASS, ())
    assert verdict.audit.complete and verdict.audit.coverage_ppm == 1_000_000


class Damaged(MemoryJournal):
    """A journal that returns other entries than were written."""

    def after(self, seq: int) -> Iterator[JournalEntry]:
        """Return the entries above ``seq``, with the damage."""
        for number, entry in enumerate(super().after(seq), start=seq + 1):
            yield from self.damaged(number, entry)

    def damaged(self, seq: int, entry: JournalEntry) -> Sequence[JournalEntry]:
        """Return what takes the place of one entry."""
        return [entry]


class Tampered(Damaged):
    """One entry has another body than its hash says."""

    def damaged(self, seq: int, entry: JournalEntry) -> Sequence[JournalEntry]:
        body = entry.body
        return [JournalEntry(body.replace(b"1", b"2", 4), entry.hash) if seq == 900 else entry]


class Truncated(Damaged):
    """The entries after the thousandth are missing."""

    def damaged(self, seq: int, entry: JournalEntry) -> Sequence[JournalEntry]:
        return [entry] if seq <= 1000 else []


class Gap(Damaged):
    """One entry is missing."""

    def damaged(self, seq: int, entry: JournalEntry) -> Sequence[JournalEntry]:
        return [] if seq == 900 else [entry]


class Twice(Damaged):
    """One entry is there twice."""

    def damaged(self, seq: int, entry: JournalEntry) -> Sequence[JournalEntry]:
        return [entry, entry] if seq == 900 else [entry]


@pytest.mark.parametrize("service", ["exchange", "custodian", "risk-monitor", "test-coordinator"])
@pytest.mark.parametrize("damage", [Tampered, Truncated, Gap, Twice])
def test_a_damaged_journal_never_makes_a_pass(
    plan: RunPlan, damage: type[Damaged], service: str
) -> None:
    verdict = run_plan(
        plan,
        control=False,
        journal=lambda name: damage(name) if name == service else MemoryJournal(name),
    ).verdict
    assert verdict.outcome == Outcome.INCONCLUSIVE
    assert not verdict.audit.complete
    assert any(service in d.where for d in verdict.audit.discrepancies)


def test_a_silent_monitor_fails(plan: RunPlan) -> None:
    """The monitor answers and reports, but the rules that should detect the fault are off."""
    rules = "[runaway-orders, duplicate-orders, order-rate]"
    mute = load_scenario("strategy-malfunction", overrides={"controls.disable": rules}).plan
    assert run_plan(mute, control=False).verdict.outcome == Outcome.FAIL
