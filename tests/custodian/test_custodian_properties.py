"""The ledger sums to zero after every message, and no fault loses or makes a single unit."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from trading.custodian import Custodian
from trading.messages import Message, Start, Wake
from trading.messages.chaos import InjectFault, RecoverFault, SettlementFailure
from trading.messages.custody import (
    CustodyQuery,
    CustodySnapshot,
    Deposit,
    LedgerPosted,
    PenaltyCharged,
    Settled,
    SettlementFailed,
    TransferCompleted,
    TransferRejected,
    Withdraw,
)
from trading.messages.orders import Trade
from trading.scenario.settlement import SettlementTerms
from trading.units import MINUTE, SCALE, SECOND
from trading.universe import default_universe

UNIVERSE = default_universe()
FIRM = UNIVERSE.firm_accounts
START = 1_767_571_200 * SECOND


class Host:
    """Runs a custodian and keeps its own record of what every account must own beside it."""

    def __init__(self, lag: int = 1) -> None:
        terms = SettlementTerms("intraday", lag, MINUTE)
        self.custodian = Custodian(UNIVERSE, terms=terms)
        self.now = START
        self.timers: list[Wake] = []
        self.answers: list[Message] = []
        self.expected = {(a.name, asset): n for a in UNIVERSE.accounts for asset, n in a.balances}
        self.trades = 0
        self.ledger: dict[str, int] = {}
        self.send(Start("test"))

    def send(self, message: Message) -> Sequence[Message]:
        answers = self.custodian.on(message, self.now)
        for answer in answers:
            self.answers.append(answer)
            if isinstance(answer, Wake):
                self.timers.append(answer)
            elif isinstance(answer, LedgerPosted):
                for leg in answer.postings:
                    self.ledger[leg.asset] = self.ledger.get(leg.asset, 0) + leg.amount
        assert not any(self.ledger.values()), "the ledger does not sum to zero"
        return answers

    def advance(self, duration: int) -> None:
        until = self.now + duration
        while due := sorted((w for w in self.timers if w.at <= until), key=lambda w: w.at):
            self.timers.remove(due[0])
            self.now = max(self.now, due[0].at)
            self.send(due[0])
        self.now = until

    def trade(self, buyer: str, seller: str, lots: int) -> None:
        self.trades += 1
        qty = lots * 100_000
        quote = 65_000 * qty
        self.send(
            Trade(
                self.trades,
                "BTCUSDT",
                65_000 * SCALE,
                qty,
                quote,
                buyer,
                seller,
                1,
                2,
                True,
                self.now,
            )
        )
        for account, sign in ((buyer, 1), (seller, -1)):
            for asset, amount in (("BTC", qty), ("USDT", -quote)):
                key = (account, asset)
                self.expected[key] = self.expected.get(key, 0) + sign * amount

    def snapshot(self) -> CustodySnapshot:
        (answer,) = self.send(CustodyQuery("risk-monitor", "r"))
        assert isinstance(answer, CustodySnapshot)
        return answer

    def check(self) -> None:
        """Compare the custodian's snapshot with the expected ownership of the firm's accounts."""
        actual = {(b.account, b.asset): b.settled + b.pending for b in self.snapshot().balances}
        for key, amount in self.expected.items():
            if key[0] in FIRM:
                assert actual.get(key, 0) == amount, key


accounts = st.sampled_from([*FIRM, "market"])
actions = st.one_of(
    st.tuples(st.just("trade"), accounts, accounts, st.integers(1, 100_000)),
    st.tuples(st.just("pass"), st.integers(1, 10 * MINUTE)),
    st.tuples(st.just("deposit"), st.sampled_from(FIRM), st.integers(1, 10**12)),
    st.tuples(st.just("withdraw"), st.sampled_from(FIRM), st.integers(1, 10**16)),
    st.tuples(
        st.just("fault"),
        st.sampled_from(["fail", "delay", "partial"]),
        st.sampled_from([("BTC",), ("USDT",), ("BTC", "USDT")]),
        st.integers(0, 999_999),
    ),
    st.tuples(st.just("recover")),
)


@settings(max_examples=150)
@given(st.lists(actions, max_size=30), st.integers(0, 3))
def test_nothing_is_lost_whatever_happens(steps: list[tuple[Any, ...]], lag: int) -> None:
    host = Host(lag)
    faults: list[str] = []
    for number, (kind, *args) in enumerate(steps):
        if kind == "trade" and args[0] != args[1]:
            host.trade(*args)
        elif kind == "pass":
            host.advance(args[0])
        elif kind in ("deposit", "withdraw"):
            account, amount = args
            transfer = (Deposit if kind == "deposit" else Withdraw)(
                account,
                "USDT",
                amount,
                f"t{number}",
            )
            sign = 1 if kind == "deposit" else -1
            for answer in host.send(transfer):
                if isinstance(answer, TransferCompleted):
                    host.expected[answer.account, "USDT"] += sign * answer.amount
        elif kind == "fault":
            mode, assets, fraction = args
            faults.append(f"f{number}")
            fault = SettlementFailure(assets=assets, mode=mode, fraction_ppm=fraction)
            host.send(InjectFault("custodian", faults[-1], fault, host.now + 60 * MINUTE))
        elif kind == "recover" and faults:
            host.send(RecoverFault("custodian", faults.pop()))
        host.check()
    for fault_id in faults:
        host.send(RecoverFault("custodian", fault_id))
    host.advance(20 * MINUTE)
    host.check()
    assert all(b.pending == 0 for b in host.snapshot().balances), "everything settles in the end"
    assert host.snapshot().overdue == ()


def test_a_failed_delivery_ages_costs_and_then_settles() -> None:
    host = Host()
    fault = SettlementFailure(assets=("BTC",), mode="fail", fraction_ppm=0)
    host.send(InjectFault("custodian", "f", fault, host.now + 60 * MINUTE))
    host.trade("firm-index", "market", 1000)
    host.advance(5 * MINUTE)
    (late,) = host.snapshot().overdue
    assert (late.account, late.asset, late.remaining) == ("firm-index", "BTC", 100_000_000)
    assert late.settlement_date == START + 2 * MINUTE
    assert any(isinstance(m, SettlementFailed) for m in host.answers)
    assert any(isinstance(m, PenaltyCharged) for m in host.answers)
    host.send(RecoverFault("custodian", "f"))
    host.advance(2 * MINUTE)
    assert host.snapshot().overdue == ()
    host.check()


def test_t_plus_n_settles_on_its_cycle_and_not_before() -> None:
    host = Host(lag=2)
    host.trade("firm-index", "market", 1000)
    host.advance(3 * MINUTE - 1)
    assert not any(isinstance(m, Settled) for m in host.answers)
    host.advance(1)
    booked = [(m.asset, m.amount) for m in host.answers if isinstance(m, Settled)]
    assert ("BTC", 100_000_000) in booked


def test_more_than_is_there_cannot_be_withdrawn() -> None:
    host = Host()
    (answer,) = host.send(Withdraw("firm-index", "USDT", 800_000 * SCALE + 1, "t"))
    assert isinstance(answer, TransferRejected)
    host.check()
