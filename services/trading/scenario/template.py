"""The commented scenario that ``trading scenario new`` writes."""

import re

from trading.scenario.errors import Problem, ScenarioError
from trading.scenario.names import NAME_PATTERN

_TEMPLATE = """\
# Run it:    trading run {name}.yaml
# Check it:  trading scenario validate {name}.yaml
# All times are simulated.
apiVersion: chaos.trading/v1alpha1
kind: ChaosScenario
metadata:
  name: {name}
spec:
  description: Bitcoin falls by 12 % within two minutes
  seed: 1                         # same seed, same run

  # A running ecosystem goes through it as fast as it can. To watch, ten times as fast as life:
  # clock: {{mode: wall, speed: 10}}

  # Before anything breaks, nothing may be wrong for 5 minutes.
  steadyState: {{for: 5m, within: 30m}}

  # What breaks. Exactly one kind each: marketShock, depeg, exchangeOutage, settlementFailure,
  # strategyMalfunction, feedDisruption, networkPartition.
  faults:
    - name: drop
      at: 1m                      # after the steady state held
      duration: 10m               # from the verified injection to the recovery
      marketShock: {{symbols: [BTC], change: -12%, over: 2m}}

  # What must be noticed, and within which time of the verified injection.
  expect:
    - {{alert: price-move, of: drop, within: 2m}}
    - {{alert: drawdown, of: drop, within: 3m}}
    - {{noAlert: settlement-overdue}}

  # Everything has to be right again this soon after the last fault.
  recovery: {{within: 10m}}
"""


def new_scenario(name: str) -> str:
    """Return the text of a valid scenario file. Raises ScenarioError for an invalid ``name``."""
    if not re.fullmatch(NAME_PATTERN, name):
        message = "expected a name of lower-case letters, digits and '-', at most 63"
        raise ScenarioError([Problem(name, 0, 0, "", message)])
    return _TEMPLATE.format(name=name)
