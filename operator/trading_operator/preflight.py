"""Would another NetworkPolicy defeat a partition? They add up: one that allows a caller the way
makes the partition's own useless. Asked before the start, so that it is no Inconclusive an hour
later.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from trading_operator.policies import COMPONENT, NAMESPACE, Cut, owner_of

Labels = Mapping[str, str]


def conflicts(
    wanted: Iterable[Cut], policies: Iterable[Mapping[str, Any]], release: Labels, namespace: str
) -> list[str]:
    """For people, a line for each; sorted. What cannot be known, such as whose an address is,
    counts as allowed.
    """
    found = set()
    for policy in policies:
        name = policy["metadata"]["name"]
        if owner_of(policy):
            continue
        spec = policy["spec"]
        if "Egress" not in (spec.get("policyTypes") or (["Egress"] if "egress" in spec else [])):
            continue
        for cut in wanted:
            caller = {**release, COMPONENT: cut.caller}
            if not selects(spec.get("podSelector") or {}, caller):
                continue
            for callee in cut.callees:
                there = {**release, COMPONENT: callee}
                if any(_allows(rule, there, namespace) for rule in spec.get("egress") or ()):
                    found.add(f"NetworkPolicy {name} allows {cut.caller} to reach {callee}")
    return sorted(found)


def selects(selector: Mapping[str, Any], labels: Labels) -> bool:
    """As Kubernetes defines label selectors; an unknown operator selects."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for one in selector.get("matchExpressions") or ():
        key, values = one["key"], one.get("values") or ()
        known = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not known.get(one["operator"], True):
            return False
    return True


def _allows(rule: Mapping[str, Any], there: Labels, namespace: str) -> bool:
    """On whichever port: the services have one each."""
    peers = rule.get("to")
    return not peers or any(_reaches(peer, there, namespace) for peer in peers)


def _reaches(peer: Mapping[str, Any], there: Labels, namespace: str) -> bool:
    if "ipBlock" in peer:
        return not _is_internet(peer["ipBlock"])
    chosen = peer.get("namespaceSelector")
    if chosen is not None and not selects(_known(chosen), {NAMESPACE: namespace}):
        return False
    return selects(peer.get("podSelector") or {}, there)


def _known(selector: Mapping[str, Any]) -> dict[str, Any]:
    """What of it can be answered: of a namespace only the name is known here."""
    labels = {k: v for k, v in (selector.get("matchLabels") or {}).items() if k == NAMESPACE}
    asked = [one for one in selector.get("matchExpressions") or () if one["key"] == NAMESPACE]
    return {"matchLabels": labels, "matchExpressions": asked}


def _is_internet(block: Mapping[str, Any]) -> bool:
    """Without the addresses that pods usually have."""
    left_out = set(block.get("except") or ())
    return {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"} <= left_out
