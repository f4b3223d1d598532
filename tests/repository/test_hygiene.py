"""What holds for every file of the project."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: CONTRIBUTING.md names it, too.
LONGEST = 420

_LINT = """
import sys
sys.path[:0] = ["services", "operator"]
from importlinter.cli import lint_imports
sys.exit(lint_imports(no_cache=True))
"""


def sources() -> list[Path]:
    return [
        p
        for d in ("services", "operator", "bench", "examples", "tests", "tools")
        for p in (ROOT / d).rglob("*.py")
    ]


@pytest.mark.parametrize(
    "name",
    [
        "requirements.txt",
        "requirements-dev.txt",
        "requirements-image.txt",
        "requirements-build.txt",
        "requirements-pip.txt",
    ],
)
def test_locks_are_pinned_by_hash_and_name_no_index(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text and "index" not in text
    pinned = re.findall(r"^\S+==\S+.*\\$", text, re.MULTILINE)
    assert pinned
    assert len(pinned) == len(re.findall(r"^[a-zA-Z]", text, re.MULTILINE))
    assert text.count("--hash=sha256:") >= len(pinned)


def test_modules_are_small() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in sources()
        if (lines := path.read_text(encoding="utf-8").count("\n")) > LONGEST
    }
    assert long == {}


#: Where a task is begun and waited for in one place, so that whoever waits gets its failure.
_AWAITED_WHERE_BEGUN = {
    "services/trading/api/exchange/streams.py",
    "services/trading/compose/edge.py",
    "services/trading/links/service_links.py",
    "services/trading/links/duplex.py",
    "services/trading/server/listening.py",
    "services/trading/server/serve.py",
    "services/trading/server/up.py",
}


def test_no_task_can_end_unnoticed() -> None:
    """All others are begun by trading.runtime.tasks, which logs their failures."""
    begun = {
        str(path.relative_to(ROOT))
        for path in sources()
        if not path.is_relative_to(ROOT / "tests")
        and not path.is_relative_to(ROOT / "bench")
        and re.search(r"\b(create_task|ensure_future)\(", path.read_text(encoding="utf-8"))
    }
    assert begun == {*_AWAITED_WHERE_BEGUN, "services/trading/runtime/tasks.py"}


#: Tests whose subject is time by the wall clock, or which let a stopped process stand for a while.
_MEASURED = {
    "tests/api/test_exchange_outages.py": "a slow venue answers no earlier than its delay",
    "tests/api/test_risk_events.py": "an alert reaches the stream within 5 seconds",
    "tests/leases/test_leases.py": "another engine takes over within 5 seconds",
    "tests/monitors/test_programs.py": "programs that sleep instead of answering",
    "tests/serve/test_engines.py": "an engine is paused for longer than its lease",
    "tests/serve/test_virtual_time.py": "time waits while a service stands still",
    "tests/upstream/test_poller.py": "a source is not asked again too early",
}


def test_no_other_test_sleeps_or_measures_time() -> None:
    """Apart from those of `make e2e`, which measure a real deployment."""
    clocks = re.compile(r"\btime\.(sleep|monotonic|perf_counter)(_ns)?\(")
    measuring = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("test_*.py")
        if not path.is_relative_to(ROOT / "tests" / "e2e")
        and clocks.search(path.read_text(encoding="utf-8"))
    }
    assert measuring == set(_MEASURED)


def test_contributing_says_what_is_held_here() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert f"at most {LONGEST} lines" in text
    named = set(re.findall(r"tests/\w+/test_\w+\.py", text))
    assert named and named <= set(_MEASURED)


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in sources()
        if not path.read_text(encoding="utf-8").startswith('"""')
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("risk_monitor/rules.py", "import trading.messages.chaos"),
        ("risk_monitor/rules.py", "import trading.exchange"),
        ("exchange/book.py", "import time"),
        ("exchange/book.py", "import trading.runtime.kernel"),
        ("report/html.py", "import trading.runtime"),
        ("scenario/model.py", "import trading.embedded"),
    ],
)
def test_layers_are_held(module: str, planted: str, tmp_path: Path) -> None:
    """The contracts pass as it is, and each breaks where an import is planted that it forbids."""
    for folder in ("services", "operator"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)

    file = tmp_path / "services" / "trading" / module
    file.write_text(f"{file.read_text(encoding='utf-8')}\n{planted}\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", _LINT], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1 and "BROKEN" in done.stdout, done.stdout + done.stderr


def test_the_architecture_names_every_package() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    packages = {p.parent.name for p in (ROOT / "services/trading").glob("*/__init__.py")}
    components = {"custodian", "exchange", "risk_monitor", "test_coordinator", "trading_engine"}
    assert [p for p in packages - components if p not in text] == []


#: Names that say nothing of what they hold. A name says it in the field's terms: ``policies``,
#: ``response``, ``existing``, ``received_seq``.
_VAGUE = {
    *("found", "known", "made", "kept", "wanted", "told", "said", "heard", "given", "asked", "got"),
    *("thing", "things", "stuff"),
}
#: Fields that are serialised, in messages, snapshots, HTTP bodies or test ids.
_SERIALISED = {
    "services/trading/api/risk_monitor/models.py: known",
    "services/trading/hosting/streams.py: _kept",
    "services/trading/links/platform.py: asked",
    "services/trading/messages/audit.py: kept",
    "tests/api/test_exchange_rest.py: wanted",
    "tests/links/test_losses.py: heard",
}


def assigned_names(tree: ast.AST) -> Iterator[str]:
    """Yield every name that a module gives to a variable, parameter, attribute or definition."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name


def test_names_say_what_they_hold() -> None:
    vague = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources()
        for name in assigned_names(ast.parse(path.read_text(encoding="utf-8")))
        if name.strip("_") in _VAGUE
    }
    assert vague == _SERIALISED


def test_a_vague_name_is_noticed() -> None:
    code = "def f(asked):\n    found = 1\n    for told in range(2):\n        self.kept = told\n"
    assert {n for n in assigned_names(ast.parse(code)) if n in _VAGUE} == {
        "asked",
        "found",
        "kept",
        "told",
    }
