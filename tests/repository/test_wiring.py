"""Objects get what they call when they are built: mypy then checks that it is there and fits."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ROOT / "services"


def untyped_state(tree: ast.AST) -> Iterator[str]:
    """Yield the uses of Starlette's ``state``, in which any name has any type."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or node.attr != "state":
            continue
        holder = ast.unparse(node.value)
        if holder.split(".")[-1] == "app" or holder.endswith("['app']"):
            yield f"{node.lineno}: {holder}.state"


def placeholders(tree: ast.AST) -> Iterator[str]:
    """Yield the attributes that hold a function which somebody else has to replace.

    These are attributes that are assigned a lambda, and attributes of a callable type that a
    constructor does not take from its parameters.
    """
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        arguments = function.args
        parameters = {
            a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        }
        for node in ast.walk(function):
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            is_callable = False
            if isinstance(node, ast.AnnAssign):
                target = node.target
                is_callable = ast.unparse(node.annotation).startswith("Callable[")
            if not isinstance(target, ast.Attribute) or not isinstance(
                node, ast.Assign | ast.AnnAssign
            ):
                continue
            names = {n.id for n in ast.walk(node.value or node) if isinstance(n, ast.Name)}
            if isinstance(node.value, ast.Lambda) or (is_callable and not names & parameters):
                yield f"{node.lineno}: {ast.unparse(target)}"


def test_nothing_is_shared_by_the_untyped_state_of_an_app() -> None:
    """:class:`trading.hosting.service_app.AppContext` has it, with types."""
    assert [
        f"{path.relative_to(ROOT)}:{use}"
        for path in SERVICES.rglob("*.py")
        for use in untyped_state(ast.parse(path.read_text(encoding="utf-8")))
    ] == []


def test_no_function_waits_to_be_replaced() -> None:
    """A constructor's argument, a protocol or a method to subscribe takes the place of one."""
    assert [
        f"{path.relative_to(ROOT)}:{attribute}"
        for path in SERVICES.rglob("*.py")
        for attribute in placeholders(ast.parse(path.read_text(encoding="utf-8")))
    ] == []


@pytest.mark.parametrize(
    ("code", "uses"),
    [
        ("app.state.access = 1", ["1: app.state"]),
        ("request.app.state.access", ["1: request.app.state"]),
        ("request.state", []),
        ("self.app.state.stopping", ["1: self.app.state"]),
        ("scope['app'].state.hosts", ["1: scope['app'].state"]),
        ("monitor.state()", []),
        ("self.state = state", []),
    ],
)
def test_a_use_of_the_state_is_noticed(code: str, uses: list[str]) -> None:
    assert list(untyped_state(ast.parse(code))) == uses


@pytest.mark.parametrize(
    ("line", "noticed"),
    [
        ("self.failed: Callable[[str], None] = lambda why: None", True),
        ("self.failed = lambda why: None", True),
        ("links.failed = lambda why: None", True),
        ("self.dependencies: Callable[[], dict[str, str]] = dict", True),
        ("self.on_connected: Callable[[str], None] = _ignore", True),
        ("self.failed: Callable[[str], None] = failed", False),
        ("self.failed = failed", False),
        ("self.listeners: list[Callable[[str], None]] = []", False),
        ("hook = lambda: None", False),
    ],
)
def test_a_placeholder_is_noticed(line: str, noticed: bool) -> None:
    code = f"def __init__(self, failed: Callable[[str], None] = lambda why: None):\n    {line}\n"
    assert bool(list(placeholders(ast.parse(code)))) == noticed
