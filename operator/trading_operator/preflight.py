"""Checks whether another NetworkPolicy would defeat a partition.

Policies add up: if any other policy allows a caller to reach a callee, the partition's own policy
has no effect. The operator checks this before a run starts, because otherwise the run would end as
Inconclusive, perhaps an hour later.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from trading_operator.policies import COMPONENT, NAMESPACE, Cut, owner_of

Labels = Mapping[str, str]


def conflicts(
    planned: Iterable[Cut], policies: Iterable[Mapping[str, Any]], release: Labels, namespace: str
) -> list[str]:
    """Return a sorted list with a message for each callee of a ``planned`` cut that another policy
    allows. What cannot be decided here, such as which pod has an address, counts as allowed.
    ``release`` is the labels that all pods of the release have.
    """
    messages = set()
    for policy in policies:
        name = policy["metadata"]["name"]
        if owner_of(policy):
            continue
        spec = policy["spec"]
        if "Egress" not in (spec.get("policyTypes") or (["Egress"] if "egress" in spec else [])):
            continue
        for cut in planned:
            caller = {**release, COMPONENT: cut.caller}
            if not selects(spec.get("podSelector") or {}, caller):
                continue
            for callee in cut.callees:
                target = {**release, COMPONENT: callee}
                if any(_allows(rule, target, namespace) for rule in spec.get("egress") or ()):
                    messages.add(f"NetworkPolicy {name} allows {cut.caller} to reach {callee}")
    return sorted(messages)


def selects(selector: Mapping[str, Any], labels: Labels) -> bool:
    """Return whether a label selector selects ``labels``. An unknown operator matches."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for expression in selector.get("matchExpressions") or ():
        key, values = expression["key"], expression.get("values") or ()
        results = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not results.get(expression["operator"], True):
            return False
    return True


def _allows(rule: Mapping[str, Any], target: Labels, namespace: str) -> bool:
    """Return whether an egress rule allows ``target``. Ports are ignored: each service has one."""
    peers = rule.get("to")
    return not peers or any(_includes(peer, target, namespace) for peer in peers)


def _includes(peer: Mapping[str, Any], target: Labels, namespace: str) -> bool:
    if "ipBlock" in peer:
        return not _is_internet(peer["ipBlock"])
    selector = peer.get("namespaceSelector")
    if selector is not None and not selects(_by_name_only(selector), {NAMESPACE: namespace}):
        return False
    return selects(peer.get("podSelector") or {}, target)


def _by_name_only(selector: Mapping[str, Any]) -> dict[str, Any]:
    """Return a namespace selector without the labels other than the name, which are not known."""
    labels = {k: v for k, v in (selector.get("matchLabels") or {}).items() if k == NAMESPACE}
    expressions = [e for e in selector.get("matchExpressions") or () if e["key"] == NAMESPACE]
    return {"matchLabels": labels, "matchExpressions": expressions}


def _is_internet(block: Mapping[str, Any]) -> bool:
    """Return whether a block of addresses excludes the private ranges, which pods use."""
    excluded = set(block.get("except") or ())
    return {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"} <= excluded
