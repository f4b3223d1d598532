"""A table of wrong resources, for tests with and without a cluster. Each is refused by the API
server or ends in Error with a message, and each can be deleted.
"""

from typing import Any, NamedTuple

from trading.scenario.model import API_VERSION, KIND


class Wrong(NamedTuple):
    """One wrong resource. ``spec`` overrides fields of a valid spec. ``by`` is what refuses it: a
    "schema" or a "rule" of the API server, or the "model" of the test coordinator. ``says`` is part
    of the coordinator's message.
    """

    spec: dict[str, Any]
    by: str
    says: str


def cut(**more: Any) -> dict[str, Any]:
    """Return a valid fault, with fields overridden or added by ``more``."""
    pairs = {"between": [["risk-monitor", "exchange"]]}
    return {"name": "cut", "at": "30s", "duration": "1m", "networkPartition": pairs, **more}


def between(*pairs: list[Any]) -> dict[str, Any]:
    return {"faults": [cut(networkPartition={"between": list(pairs)})]}


def fault(kind: str, **parameters: Any) -> dict[str, Any]:
    return {"faults": [{"name": "cut", "duration": "1m", kind: parameters}]}


def expect(**expectation: Any) -> dict[str, Any]:
    return {"expect": [{"of": "cut", "within": "1m", **expectation}]}


WRONG = {
    "service-typo": Wrong(between(["risk-monitr", "exchange"]), "schema", "risk-monitr"),
    "lonely-service": Wrong(between(["risk-monitor"]), "schema", "expected two services"),
    "three-services": Wrong(
        between(["risk-monitor", "exchange", "custodian"]), "schema", "expected two services"
    ),
    "coordinator-cut-off": Wrong(
        between(["test-coordinator", "exchange"]), "schema", "cannot be cut off"
    ),
    "never-talk": Wrong(between(["custodian", "market-data"]), "rule", "nothing to cut"),
    "with-itself": Wrong(between(["exchange", "exchange"]), "rule", "nothing to cut"),
    "one-of-two-is-a-typo": Wrong(
        between(["risk-monitor", "exchange"], ["exchange", "custodain"]), "schema", "custodain"
    ),
    "unknown-rule": Wrong(expect(alert="drawdwn"), "schema", "did you mean 'drawdown'"),
    "unknown-silent-rule": Wrong(
        {"expect": [{"noAlert": "nothing"}]}, "schema", "unknown rule 'nothing'"
    ),
    "no-such-fault": Wrong(expect(alert="drawdown", of="cutt"), "rule", "did you mean 'cut'"),
    "subject-of-a-breaker": Wrong(
        expect(breaker="HALTED", subject="exchange"), "model", "'subject' narrows an alert"
    ),
    "unknown-limit": Wrong(
        {"controls": {"limits": {"drawdwn": "3 %"}}}, "rule", "did you mean 'drawdown'"
    ),
    "limit-of-no-kind": Wrong({"controls": {"limits": {"drawdown": "x" * 90}}}, "model", "limits"),
    "unknown-control": Wrong({"controls": {"disable": ["all"]}}, "schema", "unknown rule 'all'"),
    "unknown-coin": Wrong(fault("depeg", asset="BTC", to="0.9"), "schema", "unknown stablecoin"),
    "unknown-symbol": Wrong(
        fault("marketShock", symbols=["BTCEUR"], change="-5%"), "schema", "BTCEUR"
    ),
    "pattern-of-nothing": Wrong(
        fault("marketShock", symbols=["X*"], change="-5%"), "model", "unknown asset or symbol 'X*'"
    ),
    "unknown-strategy": Wrong(
        fault("strategyMalfunction", strategy="momentun", mode="wrong-side"), "schema", "momentum"
    ),
    "huge-price": Wrong(
        {"market": {"initialPrices": {"BTC": "1e999999999"}}}, "model", "a price above 0"
    ),
    "unknown-price": Wrong(
        {"market": {"initialPrices": {"BTX": "1"}}}, "model", "did you mean 'BTC'"
    ),
    "price-as-a-list": Wrong(
        {"market": {"initialPrices": {"BTC": [[[]]]}}}, "model", "initialPrices.BTC"
    ),
    "holds-the-only-slot": Wrong({"faults": [cut(duration="366d")]}, "schema", "at most 7d"),
    "holds-it-in-hours": Wrong({"faults": [cut(duration="999h")]}, "model", "at most 7d"),
    "holds-it-in-all": Wrong({"faults": [cut(at="6d", duration="2d")]}, "model", "limit 7d"),
    "slower-than-a-clock": Wrong({"clock": {"speed": 0.000001}}, "model", "wall clock"),
    "begins-in-9999": Wrong(
        {"clock": {"start": "9999-12-31T23:59:59Z"}}, "model", "from 1970 to 2099"
    ),
    "reads-a-file": Wrong(
        {"market": {"source": "replay", "replay": {"file": "/etc/passwd", "asset": "BTC"}}},
        "model",
        "cannot read files",
    ),
    "more-than-everything": Wrong(
        fault("marketShock", change="99999999999999999999999%"), "model", "-10000% to 10000%"
    ),
    "two-kinds": Wrong(
        {"faults": [cut(exchangeOutage={"mode": "reset"})]}, "model", "one fault has one kind"
    ),
    "the-same-twice": Wrong({"faults": [cut(), cut()]}, "model", "two faults are named 'cut'"),
    "long-and-wrong": Wrong(
        {
            "faults": [cut(name=f"cut-{n}", exchangeOutage={"mode": "reset"}) for n in range(31)]
            + [cut()]
        },
        "model",
        "one fault has one kind",
    ),
    "says-what-it-is-not": Wrong(
        {"overrides": ["faults.cut.at=30s", "seed=4"]}, "model", "something else there than '4'"
    ),
    "changed-to-nothing": Wrong({"overrides": ["seed"]}, "model", "expected KEY=VALUE"),
    "changed-by-a-number": Wrong({"overrides": [4]}, "schema", "expected a text"),
    "contradicts-itself": Wrong(
        {
            "expect": [
                {"alert": "venue-down", "of": "cut", "within": "1m"},
                {"noAlert": "venue-down"},
            ]
        },
        "model",
        "contradicts",
    ),
}


def wrong_resource(name: str) -> dict[str, Any]:
    """Return the whole resource of the table's entry ``name``."""
    valid = {
        "description": "A partition that is noticed",
        "seed": 3,
        "faults": [cut()],
        "expect": [{"alert": "venue-down", "of": "cut", "within": "1m"}],
    }
    spec = {**valid, **WRONG[name].spec}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": spec}
