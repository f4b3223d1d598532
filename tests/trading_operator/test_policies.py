"""Partitions as NetworkPolicies, beside those of the chart: they cut their pairs only."""

import pytest

from tests.chart.policy import connects
from tests.chart.rendering import NAMESPACE, rendered
from tests.chart.test_network import DNS, OUTSIDE, endpoints, policies_of
from tests.trading_operator.making import RELEASE, sample_scenario
from trading.topology import SERVICES, may_connect
from trading_operator.policies import LEASE, Cut, cuts, manifest, name_of, parse_policy, until_of
from trading_operator.preflight import conflicts
from trading_operator.resource import Scenario

EDGES = [(a, b) for a in SERVICES for b in SERVICES if may_connect(a, b)]


def in_namespace(scenario: Scenario) -> Scenario:
    import msgspec

    return msgspec.structs.replace(scenario, namespace=NAMESPACE)


def policies_with(*partitions: Cut) -> list[dict[str, object]]:
    scenario = in_namespace(sample_scenario())
    return [*policies_of("dev"), *(manifest(scenario, cut, RELEASE, 0) for cut in partitions)]


@pytest.mark.parametrize(("caller", "callee"), EDGES)
def test_a_partition_cuts_its_pair_and_nothing_else(caller: str, callee: str) -> None:
    pods = endpoints("dev")
    before, after = policies_of("dev"), policies_with(*cuts({"f": [(callee, caller)]}))
    for a, b in EDGES:
        port = SERVICES[b].port
        assert connects(before, NAMESPACE, pods[a], pods[b], port)
        reached = connects(after, NAMESPACE, pods[a], pods[b], port)
        assert reached == ({a, b} != {caller, callee}), (a, b)
    assert connects(after, NAMESPACE, pods[caller], DNS, 53, "UDP")
    assert connects(after, NAMESPACE, pods[caller], pods["postgres"], 5432)
    assert connects(after, NAMESPACE, pods[caller], OUTSIDE, 443)


def test_two_partitions_of_one_caller_do_not_undo_each_other() -> None:
    """Two policies for one caller would: each allows what the other denies."""
    pods = endpoints("dev")
    active = {
        "one": [("risk-monitor", "exchange")],
        "two": [("custodian", "risk-monitor"), ("trading-engine", "exchange")],
    }
    planned = cuts(active)
    assert [c.caller for c in planned] == ["risk-monitor", "trading-engine"]
    after = policies_with(*planned)
    for a, b in EDGES:
        cut = (a, b) in {
            ("risk-monitor", "exchange"),
            ("risk-monitor", "custodian"),
            ("trading-engine", "exchange"),
        }
        assert connects(after, NAMESPACE, pods[a], pods[b], SERVICES[b].port) == (not cut)


def test_a_pair_that_never_talks_needs_no_policy() -> None:
    assert cuts({"f": [("risk-monitor", "test-coordinator")]}) == cuts(
        {"f": [("test-coordinator", "risk-monitor")]}
    )
    assert cuts({"f": [("market-data", "custodian")]}) == []


def test_it_belongs_to_its_scenario_and_says_when_it_must_be_gone() -> None:
    scenario = sample_scenario()
    policy = manifest(
        scenario,
        cuts(scenario.partitions and {"f": scenario.partitions["cut"]})[0],
        RELEASE,
        1_800_000_000.9,
    )
    meta = policy["metadata"]
    assert meta["name"] == name_of(scenario, "risk-monitor") == "chaos-0a1b2c3d-risk-monitor"
    assert meta["ownerReferences"][0]["uid"] == scenario.uid
    assert until_of(policy) == 1_800_000_000
    active = parse_policy(policy)
    assert (active.caller, active.callees) == ("risk-monitor", ("custodian", "exchange"))
    del meta["annotations"]["chaos.trading/recover-by"]
    assert until_of(policy) == 0.0
    assert LEASE > 0


def test_the_chart_s_own_policies_do_not_defeat_a_partition() -> None:
    planned = cuts({"f": [("risk-monitor", "exchange")]})
    assert conflicts(planned, policies_of("dev"), RELEASE, NAMESPACE) == []


def test_without_the_operator_the_chart_says_egress_itself_and_that_would_defeat_one() -> None:
    closed = [
        m for m in rendered("--set", "operator.enabled=false") if m["kind"] == "NetworkPolicy"
    ]
    planned = cuts({"f": [("risk-monitor", "exchange")]})
    assert conflicts(planned, closed, RELEASE, NAMESPACE) == [
        "NetworkPolicy trading-risk-monitor allows risk-monitor to reach exchange"
    ]


@pytest.mark.parametrize(
    ("spec", "defeats"),
    [
        ({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}, True),
        ({"podSelector": {}, "policyTypes": ["Egress"]}, False),
        ({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}, False),
        ({"podSelector": {}, "egress": [{"to": [{"podSelector": {}}]}]}, True),
        ({"podSelector": {"matchLabels": {"app": "other"}}, "egress": [{}]}, False),
        ({"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}, True),
        ({"podSelector": {}, "egress": [{"to": [{"namespaceSelector": {}}]}]}, True),
        (
            {
                "podSelector": {},
                "egress": [
                    {
                        "to": [
                            {
                                "namespaceSelector": {
                                    "matchLabels": {"kubernetes.io/metadata.name": "elsewhere"}
                                }
                            }
                        ]
                    }
                ],
            },
            False,
        ),
        (
            {
                "podSelector": {
                    "matchExpressions": [
                        {
                            "key": "app.kubernetes.io/component",
                            "operator": "In",
                            "values": ["risk-monitor", "x"],
                        }
                    ]
                },
                "egress": [
                    {
                        "to": [
                            {
                                "podSelector": {
                                    "matchExpressions": [
                                        {
                                            "key": "app.kubernetes.io/component",
                                            "operator": "NotIn",
                                            "values": ["custodian"],
                                        }
                                    ]
                                }
                            }
                        ]
                    }
                ],
            },
            True,
        ),
    ],
)
def test_what_another_policy_allows_is_found_before_the_start(
    spec: dict[str, object], defeats: bool
) -> None:
    planned = cuts({"f": [("risk-monitor", "exchange")]})
    messages = conflicts(
        planned, [{"metadata": {"name": "other"}, "spec": spec}], RELEASE, NAMESPACE
    )
    expected = ["NetworkPolicy other allows risk-monitor to reach exchange"] if defeats else []
    assert messages == expected
