"""What the README and the pages under docs/ show is what happens.

The language of a fenced block determines its check; a block with another language is a failure.

- `sh`, `python`: the blocks of a page are run in their order. A `python` block that begins with the
  name of a file is saved, for the blocks after it.
- `text` after such a block: the block prints this.
- `console`: needs Docker, a cluster or a terminal of its own. Its commands, options, scenarios,
  services, files and settings are looked up. The tests in tests/e2e run such commands for real.
- `yaml`: a scenario is run, and a part of one loaded; values are looked up in the chart; the steps
  of a workflow are checked as console blocks; a NetworkPolicy is compared with the operator's.
- Sphinx's directives: the site is built.
- `json`: parsed. `ini`: its names are looked up among the settings.
"""

import json
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.api.running import Up
from tests.repository import shell_words
from tests.repository.markdown import (
    PAGES,
    ROOT,
    Block,
    anchors_of,
    blocks_of,
    links_of,
    prose_of,
)
from tests.repository.page_runner import PageRunner, file_name, not_shown, wait_for_quotes
from tests.trading_operator.making import RELEASE, sample_scenario
from trading.embedded.api import load_scenario
from trading.embedded.run import run_plan
from trading.scenario.model import Spec
from trading.scenario.recordings import file_names
from trading.scenario.template import new_scenario
from trading_operator.policies import Cut, manifest

DOCS = ROOT / "docs"
#: Pages whose blocks call a running ecosystem; the test starts one.
RUNNING = {
    DOCS / f"guides/{name}.md" for name in ("running", "own-bot", "own-monitor", "recorded-data")
}
#: Pages whose blocks read the files of a stopped ecosystem.
STOPPED = {DOCS / "guides/journals.md"}

BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def of(*languages: str) -> list[Any]:
    """Return the blocks in one of these languages, as parameters of a test."""
    return [pytest.param(b, id=b.name) for b in BLOCKS if b.language in languages]


def how_checked(block: Block, before: Block | None) -> str:
    """Return how a block is checked; an empty text if it is not."""
    if block.language == "python" and "import ccxt" in block.body:
        return "tests/api/test_clients.py"
    if file_name(block):
        return "saved"
    if block.language in ("sh", "python"):
        return "run"
    if block.language == "text" and before is not None and before.language in ("sh", "python"):
        return "printed"
    if re.match(r"\{(toctree|note|tip|warning|important)\}", block.language):
        return "built into the site"
    return {
        "console": "looked up",
        "yaml": "yaml",
        "json": "parsed",
        "ini": "looked up",
        "text": "a picture",
    }.get(block.language, "")


def test_every_block_is_checked() -> None:
    """The language of each block determines its check; no block is without one."""
    listed = []
    for before, block in zip([None, *BLOCKS], BLOCKS, strict=False):
        beside = before if before is not None and before.page == block.page else None
        listed.append((block.name, block.language, how_checked(block, beside)))
    print(*(f"{name}  {language}  {how}" for name, language, how in listed), sep="\n")
    assert [(name, language) for name, language, how in listed if not how] == []
    # A diagram must not have commands in it.
    pictures = [name for name, _, how in listed if how == "a picture"]
    typed = re.compile(r"^(\$ |trading |make |kubectl |docker |curl )", re.MULTILINE)
    assert [b.name for b in BLOCKS if b.name in pictures and typed.search(b.body)] == []


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(p, id=str(p.relative_to(ROOT)))
        for p in PAGES
        if any(b.language in ("sh", "python") for b in blocks_of(p))
    ],
)
def test_blocks_run_as_shown(page: Path, tmp_path: Path) -> None:
    up = None
    if page in RUNNING | STOPPED:
        (tmp_path / "page").mkdir()
        up = Up(tmp_path / "page" / ".trading")
    try:
        if up is not None:
            wait_for_quotes(up)
        if page in STOPPED and up is not None:
            up.stop()
        PageRunner(tmp_path, up).run(blocks_of(page))
    finally:
        if up is not None and page not in STOPPED:
            up.stop()


@pytest.mark.parametrize("block", of("sh", "console"))
def test_commands_exist(block: Block) -> None:
    script = shell_words.typed_in(block.body) if block.language == "console" else block.body
    files = shell_words.file_names(block.page, (b.body for b in blocks_of(block.page)))
    assert shell_words.check(script, files) > 0


@pytest.mark.parametrize("block", of("yaml"))
def test_yaml_is_valid(block: Block, tmp_path: Path) -> None:
    document = yaml.safe_load(re.sub(r"^ *\.\.\.$", "", block.body, flags=re.MULTILINE))
    if isinstance(document, list):
        document = {"faults": document}
    if document.get("kind") == "ChaosScenario":
        runner = PageRunner(tmp_path, None)
        if any(file_names(document)):
            # A Python block writes the files that the scenario names.
            runner.run([b for b in blocks_of(block.page) if b.language == "python"])
        file = tmp_path / "page" / f"{document['metadata']['name']}.yaml"
        file.write_text(block.body, encoding="utf-8")
        plan = load_scenario(file).plan
        if plan.monitors:  # The page runs it, with a monitor of its own.
            return
        verdict = run_plan(plan).verdict
        assert (verdict.outcome, verdict.reasons) == ("Pass", ())
    elif document.keys() <= Spec.model_fields.keys():
        file = tmp_path / "whole.yaml"
        file.write_text(yaml.safe_dump(completed(document)), encoding="utf-8")
        load_scenario(file)
    elif "podSelector" in document.get("spec", {}):
        cut = Cut("risk-monitor", ("exchange",), ("cut",))
        assert not_within(document, manifest(sample_scenario(), cut, RELEASE, 0)) == []
    elif "jobs" in document:
        steps = [s for job in document["jobs"].values() for s in job["steps"]]
        files = shell_words.file_names(block.page, [block.body])
        assert sum(shell_words.check(s["run"], files) for s in steps if "run" in s) > 0
    else:
        shell_words.check_values(document)


def completed(part: dict[str, Any]) -> dict[str, Any]:
    """Return a whole scenario that has this part."""
    whole: dict[str, Any] = yaml.safe_load(new_scenario("whole"))
    spec = whole["spec"] | part
    if "expect" not in part:
        names = {fault["name"] for fault in spec["faults"]}
        spec["expect"] = [e for e in spec["expect"] if e.get("of") in {None, *names}]
    return {**whole, "spec": spec}


#: Fields of a policy that differ between runs.
VARYING = {"name", "chaos.trading/recover-by"}


def not_within(expected: Any, real: Any, at: str = "") -> list[str]:
    """Return the paths at which `expected` has a value that `real` does not have."""
    if isinstance(expected, dict) and isinstance(real, dict):
        return [
            wrong
            for key, value in expected.items()
            if key not in VARYING or key not in real
            for wrong in not_within(value, real.get(key), f"{at}.{key}")
        ]
    if isinstance(expected, list) and isinstance(real, list) and len(expected) <= len(real):
        pairs = zip(expected, real, strict=False)
        return [w for inner, other in pairs for w in not_within(inner, other, f"{at}[]")]
    return [] if expected == real else [f"{at}: {expected}"]


@pytest.mark.parametrize("block", of("json", "ini"))
def test_data_is_well_formed(block: Block) -> None:
    if block.language == "json":
        json.loads(block.body)
    else:
        names = re.findall(r"^#?([A-Z_0-9]+)=", block.body, re.MULTILINE)
        assert names and [n for n in names if not shell_words.known_variable(n)] == []


@pytest.mark.parametrize("page", [pytest.param(p, id=str(p.relative_to(ROOT))) for p in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for link in links_of(page):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("page", [pytest.param(p, id=str(p.relative_to(ROOT))) for p in PAGES])
def test_names_in_the_text_exist(page: Path) -> None:
    """Settings are recognised by their capitals, commands and make targets by their first word."""
    quoted = re.findall(r"`([^`]+)`", prose_of(page))
    unknown = [
        text
        for text in quoted
        if (name := re.match(r"([A-Z]+(?:_[A-Z0-9]+)+)(?:=|$)", text))
        and not shell_words.known_variable(name[1])
        and name[1] not in OTHER_NAMES
    ]
    for text in quoted:
        if re.match(r"(trading|make) [a-z]", text) and "..." not in text:
            words = text.split()[1:]
            try:
                if text.startswith("make"):
                    shell_words.check(text)
                else:
                    shell_words.subcommand(words)
            except shell_words.Unknown as error:
                unknown.append(f"{text}: {error}")
    assert unknown == []


def test_the_messages_of_troubleshooting_are_the_program_s() -> None:
    """Two adjacent words of each quoted message are in the code; those of pydantic are excepted."""
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    code = " ".join(
        re.sub(r'["\']\s+f?["\']|f"', " ", p.read_text(encoding="utf-8"))
        for folder in ("services", "operator")
        for p in (ROOT / folder).rglob("*.py")
    )
    code = re.sub(r"\s+", " ", code + (ROOT / "Makefile").read_text(encoding="utf-8"))
    rows = re.findall(r"^\|(.*)\|$", page, re.MULTILINE)
    quoted = [q for row in rows for q in re.findall(r"`([^`]+)`", " ".join(row.split("|")[:2]))]
    messages = [q for q in quoted if q.count(" ") >= 2 and "Input should be" not in q]
    assert len(messages) > 15
    unknown = []
    for message in messages:
        words = message.split()
        if not any(" ".join(pair) in code for pair in pairwise(words) if len(" ".join(pair)) > 8):
            unknown.append(message)
    assert unknown == []


#: Names in capitals that are not settings of this project.
OTHER_NAMES = {"CHAIN_BROKEN", "LEASE_EXPIRED", "REQUIRE_BROWSER"}


def test_the_reader_s_mistakes_are_reported_as_shown(tmp_path: Path) -> None:
    """A wrong word is reported in each place that is checked."""
    for wrong in (
        "trading rum market-crash",
        "trading run market-crsh",
        "trading run market-crash --sed 1",
        "trading deploy --env stage",
        "trading deploy --without grafanna",
        "trading logs risk-moniter",
        "make tests",
        "SIM_SPED=2 trading up",
        "kubectl apply -f scenarios/no-such.yaml",
        "kubectl --namespace trading wait chaos/market-crash",
        "kubectl get chaos market-crsh",
        "helm install trading charts/trading --set operator.on=false",
        "docker compose up -d risk-moniter",
        "docker compose --file docker-compose.stage.yml up",
        "curl http://127.0.0.1:8099/ready",
        "echo $(trading runn)",
        "sudo apt-get install x",
    ):
        with pytest.raises(shell_words.Unknown):
            shell_words.check(wrong)
    with pytest.raises(shell_words.Unknown):
        shell_words.check_values({"grafana": {"on": True}})
    assert not_shown("a\n...\nc 1...\n", "a\nb\nc 12\n") == []
    assert not_shown("a\nd\n", "a\nb\n") == ["d"]
    assert not_shown("b\na\n", "a\nb\n") == ["a"]
    assert not_within({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}, {}]}) == []
    assert not_within({"a": [{"b": 1}]}, {"a": [{"b": 2}]}) == [".a[].b: 1"]


def _sphinx(source: Path, out: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", source, out],
        capture_output=True,
        text=True,
    )


def test_the_site_is_built_without_warnings(tmp_path: Path) -> None:
    """Build the site as `make docs` does; every page must be in it."""
    result = _sphinx(DOCS, tmp_path / "site")
    assert result.returncode == 0, result.stdout + result.stderr
    built = {
        p.relative_to(tmp_path / "site").with_suffix("")
        for p in (tmp_path / "site").rglob("*.html")
    }
    assert [p for p in PAGES[1:] if p.relative_to(DOCS).with_suffix("") not in built] == []


def test_a_dead_reference_breaks_the_site(tmp_path: Path) -> None:
    shutil.copytree(DOCS, tmp_path / "docs", ignore=shutil.ignore_patterns("_build"))
    page = tmp_path / "docs" / "tutorial.md"
    page.write_text(page.read_text(encoding="utf-8") + "\n[nowhere](nowhere.md)\n", "utf-8")
    assert _sphinx(tmp_path / "docs", tmp_path / "site").returncode != 0
