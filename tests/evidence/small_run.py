"""A short run with some of everything: faults, expected and other alerts, overrides, clients."""

from trading.embedded.api import load_submitted
from trading.embedded.run import ExternalMessages
from trading.messages.orders import PlaceOrder
from trading.messages.risk import SilenceRule
from trading.scenario.plan import RunPlan
from trading.topology import EXCHANGE, RISK_MONITOR
from trading.units import MINUTE, SCALE, SECOND

#: A minute of simulated time, with an alert that is expected and others that are not.
TEXT = """\
apiVersion: chaos.trading/v1alpha1
kind: ChaosScenario
metadata: {name: dark-venue}
spec:
  description: The venue is dark
  seed: 4
  market: {tick: 2s}
  controls: {disable: [layering]}
  steadyState: {for: 10s, within: 5m}
  faults:
    - {name: dark, at: 10s, duration: 30s, exchangeOutage: {mode: partition}}
    - name: crash
      at: 10s
      duration: 30s
      marketShock: {symbols: [BTCUSDT], change: -15%, over: 10s}
  expect:
    - {alert: venue-down, of: dark, within: 40s}
    - {noAlert: settlement-overdue}
  recovery: {within: 5m}
"""
OVERRIDES = {"controls.limits.price-move": "3 %", "faults.dark.duration": "32s"}


def plan() -> RunPlan:
    """Return the plan of the small run, with two overrides."""
    return load_submitted(TEXT, seed=6, overrides=OVERRIDES).plan


def outside(start: int) -> list[ExternalMessages]:
    """Return what clients send: orders while trading is on, and an operator's silence."""
    order = PlaceOrder("firm-api", "mine", "BTCUSDT", "BUY", "MARKET", SCALE // 100)
    alone = PlaceOrder("firm-api", "other", "ETHUSDT", "SELL", "MARKET", SCALE // 10)
    silence = SilenceRule("price-move", "*", start + MINUTE, "somebody")
    return [
        ExternalMessages(start + 8 * SECOND, EXCHANGE, [order]),
        ExternalMessages(start + 9 * SECOND + 137, EXCHANGE, [alone]),
        ExternalMessages(start + 9 * SECOND + 1, RISK_MONITOR, [silence]),
    ]
