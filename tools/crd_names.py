"""Add to the definition of ChaosScenario the names that it can check when a resource is applied.

The scenario model checks only the form of names; which names exist is in the universe, the topology
and the table of risk rules. A text with wildcards is accepted, and so is any asset in
`initialPrices`: the test coordinator refuses those that do not exist.
"""

from collections.abc import Iterable
from typing import Any

from trading.risk_monitor import RULES
from trading.scenario import names
from trading.scenario.names import NAME_PATTERN
from trading.topology import AUDIT_CORRELATOR, SERVICES, TEST_COORDINATOR, may_connect
from trading.universe import default_universe

Schema = dict[str, Any]


def add_names(spec: Schema) -> None:
    """Add the names to the structural schema of `spec`, in place."""
    universe = default_universe()
    rules = sorted(RULES)
    faults = spec["properties"]["faults"]["items"]["properties"]
    assets = sorted(names.by_symbol(universe))
    symbols = sorted({n for i in universe.instruments for n in (i.symbol, i.base)})
    _items(faults["marketShock"], "symbols")["pattern"] = _or_pattern(assets)
    _items(faults["feedDisruption"], "assets")["pattern"] = _or_pattern(assets)
    _items(faults["settlementFailure"], "assets")["pattern"] = _or_pattern(assets)
    _items(faults["exchangeOutage"], "symbols")["pattern"] = _or_pattern(symbols)
    faults["depeg"]["properties"]["asset"]["enum"] = list(names.stablecoins(universe))
    strategies = list(names.strategies(universe))
    faults["strategyMalfunction"]["properties"]["strategy"]["enum"] = strategies
    _add_pairs(_items(faults["networkPartition"], "between"))
    expected = spec["properties"]["expect"]["items"]["properties"]
    expected["alert"]["enum"] = rules
    expected["noAlert"]["enum"] = ["*", *rules]
    controls = spec["properties"]["controls"]
    _items(controls, "disable")["enum"] = rules
    controls["properties"]["limits"]["x-kubernetes-validations"] = [
        _rule(f"self.all(name, name in {_listed(rules)})", "each key has to be a risk rule")
    ]
    spec["x-kubernetes-validations"] = [
        _rule(
            "self.expect.all(e, !has(e.of) || self.faults.exists(f, f.name == e.of))",
            "expect: each 'of' has to be the name of a fault",
        )
    ]


def metadata() -> Schema:
    """Return the schema of the metadata: the resource's name is the name of its run."""
    return {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 63, "pattern": NAME_PATTERN}},
    }


def _add_pairs(pair: Schema) -> None:
    """Allow only pairs of services that have a connection to cut."""
    cut = [name for name in SERVICES if name not in (TEST_COORDINATOR, AUDIT_CORRELATOR)]
    talking = [
        f"{name} {other}"
        for name in cut
        for other in cut
        if may_connect(name, other) or may_connect(other, name)
    ]
    pair |= {"minItems": 2, "maxItems": 2}
    pair["items"] = {"type": "string", "maxLength": 63, "enum": cut}
    pair["x-kubernetes-validations"] = [
        _rule(
            f"self[0] + ' ' + self[1] in {_listed(talking)}",
            "these two never talk to each other: nothing to cut",
        )
    ]


def _items(part: Schema, field: str) -> Schema:
    items: Schema = part["properties"][field]["items"]
    return items


def _or_pattern(allowed: Iterable[str]) -> str:
    """Return a pattern for one of these names, or for any text with a wildcard."""
    return rf"^({'|'.join(allowed)}|.*[*?\[].*)$"


def _listed(allowed: Iterable[str]) -> str:
    return f"[{', '.join(repr(name) for name in allowed)}]"


def _rule(rule: str, message: str) -> Schema:
    return {"rule": rule, "message": message}
