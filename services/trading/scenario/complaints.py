"""What pydantic finds, said for people: what was expected, what is there, which name is near."""

from typing import Any

from pydantic_core import ErrorDetails

from trading.scenario.checks import Finding
from trading.scenario.errors import Path, dotted, suggestion
from trading.scenario.model import EXPECTATION_KINDS, FAULT_KINDS
from trading.scenario.quantities import shown
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


def finding(error: ErrorDetails, data: dict[str, Any]) -> Finding:
    """Path and message of one pydantic error."""
    path: Path = tuple(error["loc"])
    kind, context = error["type"], error.get("ctx", {})
    got = error["input"]
    if kind == "extra_forbidden":
        return path, _unknown(path)
    if kind == "missing":
        about = description_at(path)
        return path, f"'{path[-1]}' is missing" + (f": {about}" if about else "")
    if kind == "literal_error":
        choices = [c.strip("'") for c in str(context["expected"]).replace(" or ", ", ").split(", ")]
        if len(choices) == 1:
            return path, f"expected {choices[0]}, got {shown(got)}"
        return path, f"expected one of {', '.join(choices)}; got {shown(got)}" + _near(got, choices)
    if kind == "value_error":
        return path, str(context["error"])
    if kind == "string_pattern_mismatch":
        message = "expected lower-case letters, digits and '-', at most 63"
        return path, f"{message}, got {shown(got)}"
    if kind in _EXPECTED:
        return path, f"expected {_EXPECTED[kind]}, got {shown(got)}"
    if kind == "too_short":
        return path, f"expected at least {context['min_length']} item, got none"
    return path, f"{error['msg'].removeprefix('Input ')}, got {shown(got)}"


def _unknown(path: Path) -> str:
    name, parent = str(path[-1]), path[:-1]
    known = fields_at(parent)
    what = "field"
    if len(parent) == 3 and parent[:2] == ("spec", "faults"):
        known, what = _kinds_first(name, known, FAULT_KINDS, "fault")
    elif len(parent) == 3 and parent[:2] == ("spec", "expect"):
        known, what = _kinds_first(name, known, EXPECTATION_KINDS, "expectation")
    where = "" if what != "field" or not parent else f" in {dotted(parent)}"
    return f"unknown {what} '{name}'{where}{suggestion(name, known)}"


def _kinds_first(
    name: str, known: list[str], kinds: tuple[str, ...], noun: str
) -> tuple[list[str], str]:
    """A name near to one of the other fields is a wrong field, everything else a wrong kind."""
    others = [k for k in known if k not in kinds]
    if "did you mean" in suggestion(name, others) and "did you mean" not in suggestion(name, kinds):
        return others, "field"
    return list(kinds), noun


def _near(got: Any, choices: list[str]) -> str:
    hint = suggestion(got, choices)
    return hint if "did you mean" in hint else ""
