"""Generate the `spec` of ChaosScenario's CustomResourceDefinition from the scenario model.

The chart's template adds name and labels. A definition needs a structural schema: no references, no
lists of types, and nothing closed, since the API server prunes unknown fields. Therefore the schema
accepts a little more than the model, which validates the resource again. Defaults stay in the
model, too, so that a stored resource has only what its author wrote.
"""

from pathlib import Path
from typing import Any

import yaml

from tools.crd_names import add_names, metadata
from trading.scenario.model import API_VERSION, KIND
from trading.scenario.result import Outcome, Phase
from trading.scenario.schema import json_schema

PATH = Path("charts/trading/files/chaosscenario.yaml")
_HEAD = "# Written by `make generate` from the scenario model.\n"

Schema = dict[str, Any]

#: The keywords of the model's schema that have the same meaning in a structural schema.
_KEYWORDS = {
    *("description", "enum", "format", "maxItems", "maxLength", "maxProperties", "maximum"),
    *("minItems", "minLength", "minProperties", "minimum", "pattern", "required", "type"),
}
#: The keywords to drop. `propertyNames` is replaced by validation rules (tools/crd_names.py).
_DROPPED = {"default", "examples", "propertyNames", "title"}
_INT64 = 2**63
#: The fields of `spec` that may change after the start.
_CHANGEABLE = ("abort",)


def texts() -> dict[Path, str]:
    """Return the text of each generated file, by its path within the project."""
    text = yaml.safe_dump(definition(), sort_keys=False, default_flow_style=None, width=100)
    return {PATH: _HEAD + text}


def definition() -> Schema:
    """Return the `spec` of the CustomResourceDefinition."""
    group, version = API_VERSION.split("/")
    return {
        "group": group,
        "scope": "Namespaced",
        "names": {
            "kind": KIND,
            "listKind": f"{KIND}List",
            "plural": "chaosscenarios",
            "singular": "chaosscenario",
            "shortNames": ["chaos"],
        },
        "versions": [
            {
                "name": version,
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "additionalPrinterColumns": [
                    _column("Phase", ".status.phase"),
                    _column("Verdict", ".status.verdict"),
                    _column("Detect", ".status.detect"),
                    _column("Recover", ".status.recover"),
                    _column("Age", ".metadata.creationTimestamp", "date"),
                ],
                "schema": {"openAPIV3Schema": _resource()},
            }
        ],
    }


def _column(name: str, path: str, kind: str = "string") -> Schema:
    return {"name": name, "type": kind, "jsonPath": path}


def _resource() -> Schema:
    whole = json_schema()
    spec = structural(whole["$defs"]["Spec"], whole["$defs"])
    add_names(spec)
    return {
        "type": "object",
        "description": "What breaks, when, and what must be noticed within which time.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": metadata(),
            "spec": spec,
            "status": _status(),
        },
        "x-kubernetes-validations": [
            {"rule": _unchanged(spec), "message": "spec cannot change once started, but for abort"}
        ],
    }


def _unchanged(spec: Schema) -> str:
    """Return a CEL rule that compares the spec field by field, because CEL cannot leave a field out
    of the comparison of two objects.
    """
    same = [
        f"(has(self.spec.{name}) == has(oldSelf.spec.{name})"
        f" && (!has(self.spec.{name}) || self.spec.{name} == oldSelf.spec.{name}))"
        for name in spec["properties"]
        if name not in _CHANGEABLE
    ]
    waiting = (
        "!has(oldSelf.status) || !has(oldSelf.status.phase) ||"
        f" oldSelf.status.phase == '{Phase.PENDING}'"
    )
    return f"{waiting} || ({' && '.join(same)})"


def structural(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Return `schema` as a structural schema. `definitions` has what its references name. Raises
    NotImplementedError for a keyword that this function does not handle.
    """
    if "$ref" in schema:
        inner = structural(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
        return inner | {key: value for key, value in schema.items() if key == "description"}
    if "anyOf" in schema:
        # Kubernetes treats an explicit null as a missing field.
        (only,) = [option for option in schema["anyOf"] if option != {"type": "null"}]
        rest = {key: value for key, value in schema.items() if key != "anyOf"}
        return structural(only, definitions) | structural(rest, definitions)
    result: Schema = {}
    for key, value in schema.items():
        if key == "type" and isinstance(value, list):
            # A price is text or a number. Kubernetes has a keyword for "integer or text" only.
            result["x-kubernetes-preserve-unknown-fields"] = True
        elif key in _KEYWORDS:
            result[key] = value
        elif key == "properties":
            result[key] = {name: structural(inner, definitions) for name, inner in value.items()}
        elif key == "items":
            result[key] = structural(value, definitions)
        elif key == "additionalProperties":
            if isinstance(value, dict):
                result[key] = structural(value, definitions)
        elif key == "exclusiveMinimum":
            result |= {"minimum": value, "exclusiveMinimum": True}
        elif key == "exclusiveMaximum" and value == _INT64:
            result["format"] = "int64"
        elif key not in _DROPPED:
            raise NotImplementedError(f"{key}: {value!r}")
    return result


def _status() -> Schema:
    """Return the schema of the status. Its size is bounded; the whole timeline is in the journal of
    the audit correlator.
    """
    time = {"type": "string", "format": "date-time"}
    text = {"type": "string", "maxLength": 1024}
    condition = {
        "type": "object",
        "required": ["type", "status", "lastTransitionTime", "reason", "message"],
        "properties": {
            "type": {"type": "string", "maxLength": 316},
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
            "lastTransitionTime": time,
            "reason": {"type": "string", "minLength": 1, "maxLength": 1024},
            "message": {"type": "string", "maxLength": 32768},
        },
    }
    fault = {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": text,
            "kind": text,
            "requestedAt": text,
            "injectedAt": text,
            "evidence": text,
            "endedAt": text,
            "recoveredAt": text,
        },
    }
    expectation = {
        "type": "object",
        "required": ["label", "met"],
        "properties": {
            "label": text,
            "of": text,
            "met": {"type": "boolean"},
            "latency": {**text, "description": "From the verified injection, simulated."},
            "reason": text,
        },
    }
    audit = {
        "type": "object",
        "properties": {
            "complete": {"type": "boolean"},
            "events": {"type": "integer", "format": "int64"},
            "root": text,
            "coverage": text,
            "discrepancies": {"type": "integer"},
        },
    }
    return {
        "type": "object",
        "properties": {
            "observedGeneration": {"type": "integer", "format": "int64"},
            "phase": {"type": "string", "enum": [phase.value for phase in Phase]},
            "verdict": {"type": "string", "enum": [o.value for o in Outcome]},
            "message": text,
            "run": {**text, "description": "Its name at the test coordinator."},
            "detect": {**text, "description": "Slowest detection that was asked for."},
            "recover": {**text, "description": "From the last fault's end to all well."},
            "policies": {
                "type": "array",
                "maxItems": 32,
                "items": text,
                "description": "NetworkPolicies that are there, or about to be.",
            },
            "faults": _named(fault, "name", 32),
            "expectations": {"type": "array", "maxItems": 64, "items": expectation},
            "audit": audit,
            "conditions": _named(condition, "type", 16),
        },
    }


def _named(items: Schema, key: str, most: int) -> Schema:
    return {
        "type": "array",
        "maxItems": most,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": [key],
        "items": items,
    }
