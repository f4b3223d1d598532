"""Generate the table of packages in ARCHITECTURE.md.

Its order is that of the import contracts in pyproject.toml, and its last column is what the code
really imports.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATH = Path("ARCHITECTURE.md")
BEGIN, END = "<!-- packages: begin -->\n", "<!-- packages: end -->\n"

COMPONENTS = "the seven components"
OPERATOR = "trading_operator"

#: The description of each package. A package without an entry, and the reverse, is an error.
PACKAGES: dict[str, str] = {
    OPERATOR: "the Kubernetes operator, in `operator/`: a pure `step`, and what it reads and does",
    "cli": "the `trading` command",
    "deploy": "a deployment as its users handle it: bring up, health, logs, take down, secrets,"
    " partitions by its containers",
    "server": "`trading up`: one host, seven apps; `trading serve`: one host, one app, its links",
    "api": "the services' public interfaces, one package for each",
    "embedded": "puts the components on a kernel, runs a plan, checks evidence",
    "report": "verdict and curves, for people and for CI",
    "links": "connections between services that are processes of their own: frames, repetition by"
    " journal, fences, probes, one session and one clock for all",
    "lockstep": "virtual time in several processes: who may go on, how far, and who is waited for",
    "hosting": "the service runtime: clock, host, journal stores, snapshots, recovery, settings,"
    " and what the HTTP interfaces of all services share",
    "upstream": "real prices: CoinGecko, CoinMarketCap, their cache in Redis",
    "compose": "the rendered chart as a Compose file, and the container that publishes its ports",
    "telemetry": "the table of signals: every metric, and what counts and measures for it",
    "monitors": "monitors of the user's: what they see, what they answer, programs in lockstep",
    COMPONENTS: "one state machine each: `market_data`, `exchange`, `custodian`, `trading_engine`,"
    " `risk_monitor`, `test_coordinator`, `audit_correlator`",
    "scenario": "the ChaosScenario model, its compiler, the verdict",
    "runtime": "kernel, routes, journal, fault leases, seeded random numbers, replay",
    "topology": "the table of services, their ports, and who calls whom",
    "universe": "what is traded, and by whom",
    "messages": "the records that go from one component to another",
    "units": "money and time as whole numbers",
}


def texts() -> dict[Path, str]:
    """Return the text of each generated file, by its path within the project. Raises ValueError if
    PACKAGES and the contracts have different packages.
    """
    text = (ROOT / PATH).read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return {PATH: before + BEGIN + _table() + END + rest.split(END)[1]}


def layers() -> list[list[str]]:
    """Return the layers of `trading`, the highest first, from the contract of lint-imports. A layer
    is a list of packages.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (contract,) = [c for c in contracts if c.get("containers") == ["trading"]]
    return [re.findall(r"\w+", layer) for layer in contract["layers"]]


def imports(folder: Path, package: str) -> set[str]:
    """Return the packages of `trading` that a package or module in `folder` imports, without
    itself.
    """
    path = folder / package
    files = [*path.rglob("*.py")] if path.is_dir() else [path.with_suffix(".py")]
    imported = {
        name.split(".")[1]
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for name in _named(node)
        if name.startswith("trading.")
    }
    return imported - {package}


def _named(node: ast.AST) -> Iterator[str]:
    """Yield the modules that an import statement names."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module == "trading":
        yield from (f"trading.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module


def _table() -> str:
    order = layers()
    components = max(order, key=len)
    rank = [name for layer in order for name in layer]
    services = ROOT / "services" / "trading"
    rows = [(OPERATOR, imports(ROOT / "operator", OPERATOR))]
    for layer in order:
        if layer is components:
            rows.append((COMPONENTS, {i for name in layer for i in imports(services, name)}))
        else:
            rows += [(name, imports(services, name)) for name in layer]
    if (in_contracts := {name for name, _ in rows}) != set(PACKAGES):
        raise ValueError(f"PACKAGES in tools/architecture.py: {in_contracts ^ set(PACKAGES)}")
    text = "| package | what it is | imports |\n|---|---|---|\n"
    for name, imported in rows:
        listed_imports = _listed(imported, rank, components)
        text += f"| {_package_cell(name)} | {PACKAGES[name]} | {listed_imports} |\n"
    return text


def _package_cell(name: str) -> str:
    if name == COMPONENTS:
        return name
    return f"`{name}`" if name == OPERATOR else f"`trading.{name}`"


def _listed(imported: set[str], rank: list[str], components: list[str]) -> str:
    names = [name for name in rank if name in imported and name not in components]
    parts = imported & set(components)
    if len(parts) >= len(components) - 1:
        names.append("the components")
    else:
        names += sorted(parts)
    return ", ".join(names) or "nothing"
