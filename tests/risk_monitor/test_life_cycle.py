"""The life cycle of alerts, and the circuit breaker: it cancels, kills, and stays halted until
reset.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.risk_monitor.production import ACCOUNT, Production, usd
from tests.risk_monitor.test_rules import crash, orders
from trading.messages.orders import CancelAllOrders, KillSwitchChanged, SetKillSwitch
from trading.messages.risk import (
    AcknowledgeAlert,
    AlertAcknowledged,
    AlertFired,
    AlertResolved,
    BreakerChanged,
    BreakerState,
    ResetBreaker,
    SilenceRule,
    TripBreaker,
)
from trading.units import MINUTE, SECOND


def healthy_production() -> Production:
    """Return a production that has run for 20 seconds without any problem."""
    production = Production()
    production.advance(20)
    return production


def states(production: Production) -> list[str]:
    """Return the states that the circuit breaker has entered."""
    return [m.state for m in production.sent if isinstance(m, BreakerChanged)]


def resolved(production: Production) -> list[AlertResolved]:
    """Return the alerts that were resolved."""
    return [m for m in production.sent if isinstance(m, AlertResolved)]


def test_an_alert_fires_once_and_resolves_a_minute_after_it_is_over() -> None:
    production = healthy_production()
    production.prices["USDC"] = usd("0.99")
    production.advance(30)
    assert production.alerts == [("peg-deviation", "USDC")]
    production.prices["USDC"] = usd("1")
    production.advance(55)
    assert resolved(production) == []
    production.advance(10)
    assert [m.rule for m in resolved(production)] == ["peg-deviation"]
    assert states(production) == ["REDUCING", "ACTIVE"]


def test_a_condition_that_flaps_is_one_alert() -> None:
    production = healthy_production()
    for _ in range(10):
        production.prices["USDC"] = usd("0.99")
        production.advance(10)
        production.prices["USDC"] = usd("1")
        production.advance(10)
    assert production.alerts == [("peg-deviation", "USDC")]
    assert resolved(production) == []


def test_between_limit_and_clear_an_alert_stays() -> None:
    production = healthy_production()
    production.prices["USDC"] = usd("0.99")
    production.advance(5)
    production.prices["USDC"] = usd("0.9955")
    production.advance(300)
    assert resolved(production) == []


def test_reducing_cancels_every_account_once() -> None:
    production = healthy_production()
    production.prices["USDC"] = usd("0.99")
    production.advance(30)
    cancelled = [m.account for m in production.sent if isinstance(m, CancelAllOrders)]
    assert cancelled == list(production.universe.firm_accounts)
    assert production.killed == []


def test_halted_kills_every_account_until_a_human_resets() -> None:
    production = healthy_production()
    for _ in range(6):
        crash(production)
    assert states(production) == ["REDUCING", "HALTED"]
    assert set(production.killed) == set(production.universe.firm_accounts)
    for asset in ("BTC", "ETH", "SOL"):
        production.prices[asset] = production.universe.asset(asset).price
    production.advance(600)
    assert states(production)[-1] == "HALTED"
    production.deliver(ResetBreaker("all clear", "jo"))
    assert states(production)[-1] == "ACTIVE"
    released = [m.account for m in production.sent if isinstance(m, SetKillSwitch) if not m.engaged]
    assert set(released) >= set(production.universe.firm_accounts)


def test_a_runaway_account_is_killed_alone_and_again_until_confirmed() -> None:
    production = healthy_production()
    orders(46)(production)
    assert production.killed == [ACCOUNT]
    production.advance(12)
    requests = len(production.killed)
    assert requests >= 3 and set(production.killed) == {ACCOUNT}
    production.deliver(KillSwitchChanged(ACCOUNT, True, 0, "", production.now))
    assert states(production) == []


def test_acknowledged_and_silenced() -> None:
    production = healthy_production()
    production.deliver(SilenceRule("peg-deviation", "USDC", production.now + MINUTE, "jo"))
    production.prices["USDC"] = usd("0.99")
    production.advance(10)
    assert production.alerts == []
    assert states(production) == ["REDUCING"], "silenced is not switched off"
    production.prices["USDE"] = usd("0.99")
    production.advance(5)
    (fired,) = [m for m in production.sent if isinstance(m, AlertFired)]
    assert fired.subject == "USDE"
    production.deliver(AcknowledgeAlert(fired.alert_id, "jo"))
    (acknowledged,) = [m for m in production.sent if isinstance(m, AlertAcknowledged)]
    assert (acknowledged.alert_id, acknowledged.by) == (fired.alert_id, "jo")


def test_an_operator_trips_it_by_hand_and_nothing_lowers_it() -> None:
    production = healthy_production()
    production.deliver(TripBreaker(BreakerState.HALTED, "drill", "jo"))
    production.deliver(TripBreaker(BreakerState.REDUCING, "less", "jo"))
    production.deliver(TripBreaker(BreakerState.ACTIVE, "x", "jo"))
    production.advance(300)
    assert states(production) == ["HALTED"]


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from(["0.98", "0.9955", "1", "1.02"]), st.integers(1, 90)), max_size=12
    )
)
def test_fired_and_resolved_alternate(path: list[tuple[str, int]]) -> None:
    """For any price path, an alert does not fire twice, and only a firing alert is resolved."""
    production = healthy_production()
    for price, seconds in path:
        production.prices["USDC"] = usd(price)
        production.advance(seconds)
    active = set()
    for message in production.sent:
        if isinstance(message, AlertFired):
            key = (message.rule, message.subject)
            assert key not in active
            assert message.event_time <= message.detected_time
            active.add(key)
        elif isinstance(message, AlertResolved):
            active.remove((message.rule, message.subject))
            assert message.event_time - message.fired_time >= 60 * SECOND
