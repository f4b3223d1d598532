"""The glossary names only what exists, and has every class that other code builds upon."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

import trading.messages
import trading.runtime
from trading.scenario import faults, model

FILE = Path(__file__).resolve().parents[2] / "docs" / "glossary.md"
COMPONENTS = (
    "market_data",
    "exchange",
    "custodian",
    "trading_engine",
    "risk_monitor",
    "test_coordinator",
    "audit_correlator",
)
#: Public classes that need no entry, with the reason.
INTERNAL = {
    "trading.runtime.delivery.Route": "how the kernel remembers a route; the entry is 'route'",
    "trading.scenario.faults.Model": "what all models of a scenario have in common",
}


class Entry(NamedTuple):
    """A row of the glossary. `names` are the modules and classes in its last column."""

    term: str
    meaning: str
    names: list[str]


def entries() -> list[Entry]:
    """Return the rows of the glossary."""
    rows = re.findall(r"^\| (.+?) \| (.+) \| (`.+`) \|$", FILE.read_text("utf-8"), re.MULTILINE)
    return [Entry(term, meaning, re.findall(r"`([^`]+)`", where)) for term, meaning, where in rows]


ENTRIES = entries()


def modules(package: ModuleType) -> list[ModuleType]:
    """Return the modules of a package."""
    infos = pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    return [importlib.import_module(info.name) for info in infos]


def classes(module: ModuleType) -> set[str]:
    """Return the public classes that a module defines."""
    return {
        f"{module.__name__}.{name}"
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and value.__module__ == module.__name__
        and not name.startswith("_")
    }


def classes_to_explain() -> set[str]:
    """Return the public classes that need an entry."""
    names: set[str] = set()
    for module in (*modules(trading.messages), *modules(trading.runtime), model, faults):
        names |= classes(module)
    for name in COMPONENTS:
        package = importlib.import_module(f"trading.{name}")
        names |= {
            f"trading.{name}.{class_name}"
            for class_name in package.__all__
            if inspect.isclass(getattr(package, class_name))
        }
    return names


@pytest.mark.parametrize("name", sorted({name for entry in ENTRIES for name in entry.names}))
def test_what_an_entry_names_exists(name: str) -> None:
    try:
        importlib.import_module(name)
        return
    except ModuleNotFoundError:
        pass
    module, _, attribute = name.rpartition(".")
    try:
        holder = importlib.import_module(module)
    except ModuleNotFoundError:
        pytest.fail(f"docs/glossary.md names {name}, but there is no module {module}")
    assert hasattr(holder, attribute), (
        f"docs/glossary.md names {name}, but {module} has no class {attribute}:"
        " if it was renamed, change its name in docs/glossary.md, too"
    )


def test_every_public_class_has_an_entry() -> None:
    named = {name for entry in ENTRIES for name in entry.names}
    missing = sorted(classes_to_explain() - named - set(INTERNAL))
    assert missing == [], (
        "these public classes have no line in docs/glossary.md; add one for each, or name it in"
        f" INTERNAL with the reason: {', '.join(missing)}"
    )


def test_the_internal_ones_exist_and_have_no_entry() -> None:
    gone = sorted(set(INTERNAL) - classes_to_explain())
    assert gone == [], f"INTERNAL in this file names what does not exist: {', '.join(gone)}"
    named = {name for entry in ENTRIES for name in entry.names}
    both = sorted(named & set(INTERNAL))
    assert both == [], f"these have an entry, so they are not internal: {', '.join(both)}"


def test_no_term_has_two_entries_and_no_meaning_is_long() -> None:
    terms = [entry.term for entry in ENTRIES]
    assert sorted(terms) == sorted(set(terms))
    long = [e.term for e in ENTRIES if len(re.findall(r"\.(?:\s|$)", e.meaning)) > 2]
    assert long == [], f"more than two sentences: {', '.join(long)}"


def test_every_line_of_a_table_is_an_entry() -> None:
    text = FILE.read_text("utf-8")
    heads = text.count("\n| term | meaning | where |\n")
    assert text.count("\n|") == len(ENTRIES) + 2 * heads
