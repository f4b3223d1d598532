"""Describes the model of a scenario: its JSON Schema, and the fields at a place in it."""

from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from trading.scenario.errors import Path
from trading.scenario.model import ChaosScenario


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a scenario file."""
    schema = ChaosScenario.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def fields_at(path: Path) -> list[str]:
    """Return the names of the fields of the object at ``path``; an empty list if it is none."""
    model = _model_at(ChaosScenario, path)
    if model is None:
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_at(annotation: Any, path: Path) -> type[BaseModel] | None:
    if get_origin(annotation) in (Union, UnionType):
        annotation = next((a for a in get_args(annotation) if a is not type(None)), None)
    if get_origin(annotation) is list and path and isinstance(path[0], int):
        return _model_at(get_args(annotation)[0], path[1:])
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return None
    if not path:
        return annotation
    for name, field in annotation.model_fields.items():
        if path[0] in (name, field.alias):
            return _model_at(field.annotation, path[1:])
    return None


def description_at(path: Path) -> str:
    """Return the description of the field at ``path``; empty if it has none."""
    model = _model_at(ChaosScenario, path[:-1]) if path else None
    if model is None:
        return ""
    for name, field in model.model_fields.items():
        if path[-1] in (name, field.alias):
            return (field.description or "").rstrip(".")
    return ""
