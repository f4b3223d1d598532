"""Every rule at its boundary: no alert at the limit, an alert just beyond it."""

from collections.abc import Callable

import pytest

from tests.risk_monitor.production import ACCOUNT, START, Production, usd
from trading.messages.custody import OverdueSettlement
from trading.messages.market import PriceTick, SymbolStatus, SymbolStatusChanged
from trading.messages.orders import SELL
from trading.risk_monitor import RULES
from trading.units import SCALE, SECOND, format_units

Step = Callable[[Production], None]


def orders(count: int) -> Step:
    """Return a step that sends orders that all differ, so that none is a duplicate."""

    def step(p: Production) -> None:
        for n in range(count):
            p.report(qty=(10 + n) * SCALE)

    return step


def refusals(count: int) -> Step:
    """Return a step in which the exchange rejects orders."""

    def step(p: Production) -> None:
        for n in range(count):
            p.report("REJECTED", qty=(10 + n) * SCALE)

    return step


def equal_orders(count: int) -> Step:
    """Return a step that sends identical orders."""

    def step(p: Production) -> None:
        for _ in range(count):
            p.report(qty=10 * SCALE)

    return step


def order_worth(usd_value: str) -> Step:
    """Return a step that sends one order of this value in USD."""
    return lambda p: void(p.report(qty=usd(usd_value)))


def order_at(price: str) -> Step:
    """Return a step that sends one order at this price."""
    return lambda p: void(p.report(qty=10 * SCALE, price=usd(price)))


def void(_: object) -> None:
    """Discard the result of an expression, since a step returns nothing."""


def off_peg(price: str, seconds: int) -> Step:
    """Return a step that moves a stablecoin to this price for some seconds."""

    def step(p: Production) -> None:
        p.prices["USDC"] = usd(price)
        p.advance(seconds)

    return step


def apart(mid: str, seconds: int) -> Step:
    """Return a step that moves the book of one symbol away from its index for some seconds."""

    def step(p: Production) -> None:
        p.mids["ETHUSDT"] = usd(mid)
        p.advance(seconds)

    return step


def slide(asset: str, to: str) -> Step:
    """Return a step that moves a price gradually, so that no single tick is a jump."""

    def step(p: Production) -> None:
        first = p.prices[asset] or 0
        last = usd(to)

        def change(second: int) -> None:
            p.prices[asset] = first + (last - first) * second // 20

        p.advance(20, change)
        p.advance(2)

    return step


def silence(seconds: int) -> Step:
    """Return a step in which one asset has no ticks for some seconds."""

    def step(p: Production) -> None:
        p.silent.add("SOL")
        p.advance(seconds)

    return step


def outage(seconds: int) -> Step:
    """Return a step in which the custodian does not answer for some seconds."""

    def step(p: Production) -> None:
        p.down.add("custodian")
        p.advance(seconds)

    return step


def jump(price: str | None) -> Step:
    """Return a step with one tick at another price, which the book does not follow."""

    def step(p: Production) -> None:
        p.mids["ETHUSDT"] = p.prices["ETH"] or 0
        p.prices["ETH"] = usd(price) if price is not None else None
        p.advance(1)

    return step


def late_tick(age: int) -> Step:
    """Return a step with one tick that is older than the last one by ``age`` microseconds."""

    def step(p: Production) -> None:
        p.seq["ETH"] += 1
        p.deliver(PriceTick("ETH", p.prices["ETH"], p.seq["ETH"], p.now - age))

    return step


def lost_ticks(count: int) -> Step:
    """Return a step in which this number of ticks is lost."""

    def step(p: Production) -> None:
        p.seq["BTC"] += count
        p.advance(3)

    return step


def depth_left(percent: int) -> Step:
    """Return a step after which this percentage of the depth of a book remains."""

    def step(p: Production) -> None:
        p.advance(60)
        p.depth["SOLUSDT"] = p.depth["SOLUSDT"] * percent // 100
        p.advance(3)

    return step


def status(name: SymbolStatus) -> Step:
    """Return a step that changes the status of a symbol."""

    def step(p: Production) -> None:
        p.deliver(SymbolStatusChanged("BTCUSDT", name, "TEST", p.now))
        p.advance(2)

    return step


def overdue(seconds: int) -> Step:
    """Return a step in which a settlement is late by this number of seconds."""

    def step(p: Production) -> None:
        due = p.now - p.now % (10 * SECOND) + 20 * SECOND
        p.overdue = (OverdueSettlement("i1", ACCOUNT, "BTC", SCALE, due),)
        p.advance((due - p.now) // SECOND + seconds)

    return step


def custodian_off(amount: int) -> Step:
    """Return a step in which the custodian's balance differs by ``amount``, in units of 1e-8."""

    def step(p: Production) -> None:
        p.at_custodian[ACCOUNT]["BTC"] += amount
        p.advance(30)

    return step


def exchange_off(amount: int) -> Step:
    """Return a step in which the exchange's balance differs by ``amount``, in units of 1e-8."""

    def step(p: Production) -> None:
        p.at_exchange[ACCOUNT]["BTC"] += amount
        p.advance(30)

    return step


def washed(count: int) -> Step:
    """Return a step with trades between two equal orders of the firm."""

    def step(p: Production) -> None:
        for trade in range(1, count + 1):
            fill = {"last_qty": SCALE, "last_price": SCALE, "trade_id": trade}
            p.report("TRADE", **fill)
            p.report("TRADE", side=SELL, account="firm-meanrev", **fill)

    return step


def layers(count: int) -> Step:
    """Return a step that cancels all offers as soon as the bid is filled."""

    def step(p: Production) -> None:
        layered = [p.report(qty=(10 + n) * SCALE, side=SELL) for n in range(count)]
        p.report("TRADE", last_qty=SCALE, last_price=SCALE, trade_id=1)
        for order in layered:
            p.report(
                "CANCELED",
                qty=order.qty,
                side=SELL,
                order_id=order.order_id,
                client_order_id=order.client_order_id,
            )

    return step


#: Rule, subject of the alert, a step that is just within the limit, a step just beyond it.
BOUNDARIES: list[tuple[str, str, Step, Step]] = [
    ("order-rate", ACCOUNT, refusals(200), refusals(201)),
    ("fat-finger", ACCOUNT, order_worth("50000"), order_worth("50000.00000001")),
    ("price-collar", ACCOUNT, order_at("1.01"), order_at("1.01000001")),
    ("duplicate-orders", ACCOUNT, equal_orders(5), equal_orders(6)),
    ("runaway-orders", ACCOUNT, orders(45), orders(46)),
    ("stale-feed", "SOL", silence(4), silence(6)),
    ("corrupt-feed", "ETH", jump("3675"), jump("3675.01")),
    ("corrupt-feed", "ETH", jump("3325"), jump("0")),
    ("corrupt-feed", "ETH", jump("3500"), jump("-1")),
    ("corrupt-feed", "ETH", jump("3500"), jump(None)),
    ("corrupt-feed", "ETH", late_tick(0), late_tick(1)),
    ("feed-gap", "BTC", lost_ticks(0), lost_ticks(1)),
    ("price-divergence", "ETHUSDT", apart("3535", 5), apart("3535.01", 3)),
    ("price-divergence", "ETHUSDT", apart("3600", 1), apart("3600", 3)),
    ("peg-deviation", "USDC", off_peg("0.995", 5), off_peg("0.99499999", 3)),
    ("peg-deviation", "USDC", off_peg("1.005", 5), off_peg("1.00500001", 3)),
    ("price-move", "SOLUSDT", slide("SOL", "142.5"), slide("SOL", "142.49")),
    ("price-move", "SOLUSDT", slide("SOL", "157.5"), slide("SOL", "157.51")),
    ("liquidity-withdrawal", "SOLUSDT", depth_left(25), depth_left(19)),
    ("venue-down", "custodian", outage(4), outage(6)),
    ("market-halt", "BTCUSDT", status(SymbolStatus.TRADING), status(SymbolStatus.HALT)),
    ("market-halt", "BTCUSDT", status(SymbolStatus.TRADING), status(SymbolStatus.CANCEL_ONLY)),
    ("settlement-overdue", "BTC", overdue(0), overdue(12)),
    ("reconciliation-break", ACCOUNT, custodian_off(0), custodian_off(1)),
    ("reconciliation-break", ACCOUNT, custodian_off(0), custodian_off(-1)),
    ("execution-unknown", ACCOUNT, exchange_off(0), exchange_off(1)),
    ("wash-trades", ACCOUNT, washed(2), washed(3)),
    ("layering", ACCOUNT, layers(4), layers(5)),
]


def fired(step: Step, rule: str, disabled: frozenset[str] = frozenset()) -> list[str]:
    """Return the subjects of the alerts of ``rule`` after a step in a healthy production."""
    production = Production(disabled=disabled)
    production.advance(20)
    assert production.alerts == []
    step(production)
    return [subject for name, subject in production.alerts if name == rule]


@pytest.mark.parametrize(("rule", "subject", "allowed", "too_much"), BOUNDARIES)
def test_boundary(rule: str, subject: str, allowed: Step, too_much: Step) -> None:
    assert fired(allowed, rule) == []
    assert fired(too_much, rule)[:1] == [subject]
    assert fired(too_much, rule, frozenset({rule})) == []


def crash(p: Production) -> None:
    """Let all coins fall by 2 %."""
    for asset in ("BTC", "ETH", "SOL"):
        p.prices[asset] = (p.prices[asset] or 0) * 98 // 100
    p.advance(3)


def buys(p: Production) -> None:
    """Buy 0.1 BTC at 65000 USDT."""
    p.report(
        "TRADE",
        symbol="BTCUSDT",
        price=65000 * SCALE,
        last_qty=SCALE // 10,
        last_price=65000 * SCALE,
        cum_qty=SCALE // 10,
        trade_id=1,
    )
    p.advance(3)


#: Rule, a step, and the figure by which the rule is then evaluated, as the monitor reports it.
MEASURED: list[tuple[str, Step, Callable[[Production], int]]] = [
    ("gross-exposure", lambda p: None, lambda p: p.portfolio.gross),
    ("var-limit", lambda p: None, lambda p: max(report.var for report in p.portfolios)),
    ("loss-limit", crash, lambda p: -p.portfolio.pnl),
    ("net-exposure", buys, lambda p: 6500 * SCALE),
]


@pytest.mark.parametrize(("rule", "first", "figure"), MEASURED)
def test_boundary_of_what_is_computed(
    rule: str, first: Step, figure: Callable[[Production], int]
) -> None:
    def run(limit: str) -> Production:
        production = Production({rule: limit})
        production.advance(20)
        first(production)
        return production

    measured = figure(run("9000000"))
    assert measured > 0
    at_limit, beyond = format_units(measured), format_units(measured - 1)
    assert rule not in [name for name, _ in run(at_limit).alerts]
    assert rule in [name for name, _ in run(beyond).alerts]


def drop_to(fall_ppm: int) -> Step:
    """Return a step in which all coins fall by ``fall_ppm`` from their first price."""

    def step(p: Production) -> None:
        for asset in ("BTC", "ETH", "SOL"):
            price = p.universe.asset(asset).price
            p.prices[asset] = price - price * fall_ppm // 1_000_000
        p.advance(3)

    return step


@pytest.mark.parametrize("fall", [10_000, 30_000, 45_000])
def test_drawdown_and_concentration_fire_exactly_beyond_what_is_reported(fall: int) -> None:
    production = Production({"drawdown": "90 %"})
    production.advance(20)
    drop_to(fall)(production)
    reported = production.portfolio.drawdown_ppm
    assert reported > 0
    for limit, fires in ((reported, False), (reported - 1, True)):
        limited = Production({"drawdown": f"{limit / 10_000:.4f} %"})
        limited.advance(20)
        drop_to(fall)(limited)
        assert (("drawdown", "portfolio") in limited.alerts) is fires


def test_concentration_is_the_share_of_one_coin() -> None:
    production = Production()
    production.advance(20)
    totals = {p.asset: 0 for p in production.portfolio.positions}
    for position in production.portfolio.positions:
        totals[position.asset] += position.qty
    btc = totals["BTC"] * 65_000
    share = btc * 1_000_000 // production.portfolio.equity
    for limit, fires in ((share + 1, False), (share - 1, True)):
        limited = Production({"concentration": f"{limit / 10_000:.4f} %"})
        limited.advance(20)
        assert (("concentration", "BTC") in limited.alerts) is fires


def test_every_rule_has_its_boundary_here() -> None:
    covered = {rule for rule, *_ in BOUNDARIES} | {rule for rule, *_ in MEASURED}
    assert covered | {"drawdown", "concentration"} == set(RULES)


def test_a_well_production_is_silent_for_an_hour() -> None:
    production = Production()
    production.advance(3600)
    assert production.alerts == [] and production.killed == []
    assert production.now == START + 3600 * SECOND
