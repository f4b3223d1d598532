"""The values of a closed set stand in its enumeration, and nowhere else as text."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: Values that also mean something else, with the files in which they do.
_OTHER_MEANINGS = {
    "NONE": ("services/trading/api/exchange/formats.py",),  # no reason of a rejection
    "Recovered": ("services/trading/report/html.py",),  # the head of a column
    "SteadyState": ("tools/reference/scenario_examples.py",),  # a class of the scenario model
}


@cache
def modules() -> dict[str, ast.Module]:
    """Return the syntax tree of every module, by its path."""
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text("utf-8"))
        for folder in ("services", "operator", "tools")
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


def texts(tree: ast.AST) -> Iterator[ast.Constant]:
    """Yield the texts below a node, apart from those in enumerations."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child
        if not is_enumeration(child):
            yield from texts(child)


def is_enumeration(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and "StrEnum" in map(ast.unparse, node.bases)


@cache
def members() -> dict[str, str]:
    """Return the value of every member, with the member. Values in lower case are left out: they
    are words of the language, too.
    """
    values: dict[str, str] = {}
    for tree in modules().values():
        for kind in filter(is_enumeration, ast.walk(tree)):
            assert isinstance(kind, ast.ClassDef)
            for line in kind.body:
                if isinstance(line, ast.Assign) and isinstance(line.value, ast.Constant):
                    value = str(line.value.value)
                    if value != value.lower():
                        values[value] = f"{kind.name}.{ast.unparse(line.targets[0])}"
    return values


def test_the_sets_are_seen() -> None:
    assert members()["SteadyState"] in ("Phase.STEADY_STATE", "ConditionType.STEADY_STATE")
    assert members()["PARTIALLY_FILLED"] == "OrderStatus.PARTIALLY_FILLED"
    assert members()["Inconclusive"] == "Outcome.INCONCLUSIVE"
    assert len(members()) > 40


def test_no_value_of_a_closed_set_stands_as_text() -> None:
    written = [
        f"{path}:{text.lineno}: {text.value!r} is {members()[text.value]}"
        for path, tree in modules().items()
        for text in texts(tree)
        if text.value in members() and path not in _OTHER_MEANINGS.get(text.value, ())
    ]
    assert written == []
