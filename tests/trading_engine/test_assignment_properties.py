"""For any sequence of messages: no order for an account that is not assigned, and a replay of what
was received ends in the same state with the same answers.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading_engine.market import ACCOUNTS, ORDERS, START, UNIVERSE
from trading.messages import Message, Start, Wake
from trading.messages.chaos import InjectFault, RecoverFault, RenewFault, StrategyMalfunction
from trading.messages.market import BookTop, Ping
from trading.messages.orders import (
    ExecutionReport,
    ExecutionType,
    KillSwitchChanged,
    OrderStatus,
    PlaceOrder,
    RequestFailed,
    RequestFailure,
)
from trading.messages.strategy import StrategiesAssigned
from trading.runtime.journal import RECEIVED, MemoryJournal
from trading.runtime.replay import replay
from trading.topology import EXCHANGE, TRADING_ENGINE
from trading.trading_engine import TradingEngine
from trading.trading_engine.malfunction import MODES
from trading.units import SCALE, SECOND

ACCOUNT = st.sampled_from(ACCOUNTS)
#: Known accounts, the manual one, and one that does not exist.
ANY_ACCOUNT = st.sampled_from([*ACCOUNTS, "firm-api", "nobody"])
SYMBOL = st.sampled_from(UNIVERSE.symbols)
FAULT = st.sampled_from(["f", "g"])


@st.composite
def tops(draw: st.DrawFn) -> BookTop:
    mid = draw(st.integers(1_000, 2_000)) * SCALE
    bid, ask = draw(st.sampled_from([(mid - SCALE, mid + SCALE), (0, mid), (mid, 0), (0, 0)]))
    return BookTop(draw(SYMBOL), bid, SCALE, ask, SCALE, SCALE, SCALE, 0, 0)


@st.composite
def reports(draw: st.DrawFn) -> ExecutionReport:
    return ExecutionReport(
        account=draw(ANY_ACCOUNT),
        client_order_id=draw(st.sampled_from(["mm-000001", "mm-3-000002", "ix-000001", "x"])),
        order_id=1,
        symbol=draw(SYMBOL),
        side=draw(st.sampled_from(["BUY", "SELL"])),
        type="LIMIT",
        time_in_force="GTC",
        qty=SCALE,
        price=1_000 * SCALE,
        execution_type=draw(st.sampled_from(ExecutionType)),
        status=draw(st.sampled_from(OrderStatus)),
        cum_qty=SCALE,
        cum_quote=0,
        last_qty=draw(st.integers(0, 50)) * SCALE,
        last_price=1_000 * SCALE,
        trade_id=0,
        is_maker=False,
        reason="",
        event_time=0,
    )


FAULTS = st.builds(
    StrategyMalfunction,
    ACCOUNT,
    st.sampled_from(sorted(MODES)),
    rate=st.integers(1, 20),
    factor=st.integers(1, 9),
)
ASSIGNMENTS = st.builds(
    StrategiesAssigned, st.dictionaries(ANY_ACCOUNT, st.integers(1, 9), max_size=3)
)
REASONS = st.sampled_from(RequestFailure)
MESSAGES = st.one_of(
    tops(),
    tops(),
    tops(),
    reports(),
    ASSIGNMENTS,
    st.builds(KillSwitchChanged, ANY_ACCOUNT, st.booleans(), st.just(0), st.just(""), st.just(0)),
    st.builds(
        RequestFailed,
        st.just(TRADING_ENGINE),
        st.just(EXCHANGE),
        ANY_ACCOUNT,
        st.sampled_from(["cancel-all", "mm-000001"]),
        REASONS,
        st.just(0),
    ),
    st.builds(InjectFault, st.just(TRADING_ENGINE), FAULT, FAULTS, st.just(START + 3_000 * SECOND)),
    st.builds(RenewFault, st.just(TRADING_ENGINE), FAULT, st.just(START + 9_000 * SECOND)),
    st.builds(RecoverFault, st.just(TRADING_ENGINE), FAULT),
    st.just(Ping(TRADING_ENGINE, EXCHANGE, 1)),
)
#: A message, and the seconds until the next.
STEPS = st.lists(st.tuples(MESSAGES, st.sampled_from([0, 0, 1, 7, 300])), min_size=15, max_size=60)


@settings(max_examples=150)
@given(first=ASSIGNMENTS, steps=STEPS)
def test_no_order_for_an_account_that_is_not_assigned(
    first: StrategiesAssigned, steps: list[tuple[Message, int]]
) -> None:
    engine = TradingEngine(UNIVERSE)
    journal = MemoryJournal(TRADING_ENGINE)
    timers: list[Wake] = []
    answers: list[Message] = []
    states: dict[int, object] = {}
    assigned: dict[str, int] = {}
    now = START

    def handle(message: Message) -> None:
        nonlocal assigned
        journal.append(now, RECEIVED, [message])
        if isinstance(message, StrategiesAssigned):
            assigned = {a: f for a, f in message.accounts.items() if a in ACCOUNTS}
        new_answers = engine.on(message, now)
        answers.extend(new_answers)
        states[journal.length] = engine.state()
        for answer in new_answers:
            if isinstance(answer, Wake):
                timers.append(answer)
            elif isinstance(answer, ORDERS):
                assert answer.account in assigned
            if isinstance(answer, PlaceOrder) and "-x" not in answer.client_order_id:
                assert f"-{assigned[answer.account]}-" in answer.client_order_id

    handle(Start("test"))
    handle(first)
    for message, seconds in steps:
        handle(message)
        until = now + seconds * SECOND
        # A few timers are enough: a runaway strategy alone has ten a second.
        for _ in range(40):
            due = min((t for t in timers if t.at <= until), key=lambda t: t.at, default=None)
            if due is None:
                break
            timers.remove(due)
            now = max(now, due.at)
            handle(due)
        now = until
        assert dict(engine.fences) == assigned
        for _, state, desk in engine.strategies():
            assert (state == "STANDBY") == (desk.account not in assigned)
            assert desk.account in assigned or not desk.open
    fresh = TradingEngine(UNIVERSE)
    entries = list(journal.after(0))
    half = len(entries) // 2
    replay(entries[:half], fresh)
    assert not half or fresh.state() == states[half]
    replayed = [m for batch in replay(entries[half:], fresh) for m in batch]
    assert fresh.state() == engine.state()
    assert not replayed or answers[-len(replayed) :] == replayed
