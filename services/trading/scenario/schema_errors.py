"""Turns pydantic's validation errors into messages for the authors of scenarios.

A message tells which value was expected, which one the file has, and which valid name is similar to
a misspelt one.
"""

from typing import Any

from pydantic_core import ErrorDetails

from trading.scenario.checks import Finding
from trading.scenario.errors import Path, dotted, suggestion
from trading.scenario.model import EXPECTATION_KINDS, FAULT_KINDS
from trading.scenario.quantities import quoted
from trading.scenario.schema import description_at, fields_at

_EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping with fields",
    "model_attributes_type": "a mapping with fields",
}


def finding_of(error: ErrorDetails, data: dict[str, Any]) -> Finding:
    """Return the path and the message of one pydantic error in ``data``."""
    path: Path = tuple(error["loc"])
    kind, context = error["type"], error.get("ctx", {})
    value = error["input"]
    if kind == "extra_forbidden":
        return path, _unknown_field_message(path)
    if kind == "missing":
        description = description_at(path)
        return path, f"'{path[-1]}' is missing" + (f": {description}" if description else "")
    if kind == "literal_error":
        choices = [c.strip("'") for c in str(context["expected"]).replace(" or ", ", ").split(", ")]
        if len(choices) == 1:
            return path, f"expected {choices[0]}, got {quoted(value)}"
        return path, f"expected one of {', '.join(choices)}; got {quoted(value)}" + _near_name_hint(
            value, choices
        )
    if kind == "value_error":
        return path, str(context["error"])
    if kind == "string_pattern_mismatch":
        message = "expected lower-case letters, digits and '-', at most 63"
        return path, f"{message}, got {quoted(value)}"
    if kind in _EXPECTED:
        return path, f"expected {_EXPECTED[kind]}, got {quoted(value)}"
    if kind == "too_short":
        return path, f"expected at least {context['min_length']} item, got none"
    return path, f"{error['msg'].removeprefix('Input ')}, got {quoted(value)}"


def _unknown_field_message(path: Path) -> str:
    name, parent = str(path[-1]), path[:-1]
    valid_names = fields_at(parent)
    noun = "field"
    if len(parent) == 3 and parent[:2] == ("spec", "faults"):
        valid_names, noun = _names_for_hint(name, valid_names, FAULT_KINDS, "fault")
    elif len(parent) == 3 and parent[:2] == ("spec", "expect"):
        valid_names, noun = _names_for_hint(name, valid_names, EXPECTATION_KINDS, "expectation")
    location = "" if noun != "field" or not parent else f" in {dotted(parent)}"
    return f"unknown {noun} '{name}'{location}{suggestion(name, valid_names)}"


def _names_for_hint(
    name: str, valid_names: list[str], kinds: tuple[str, ...], noun: str
) -> tuple[list[str], str]:
    """Return the names to suggest instead of ``name``, and what to call it.

    A name that is similar to one of the other fields is a misspelt field; everything else is taken
    for an unknown kind.
    """
    other_fields = [k for k in valid_names if k not in kinds]
    if "did you mean" in suggestion(name, other_fields) and "did you mean" not in suggestion(
        name, kinds
    ):
        return other_fields, "field"
    return list(kinds), noun


def _near_name_hint(value: Any, choices: list[str]) -> str:
    hint = suggestion(value, choices)
    return hint if "did you mean" in hint else ""
