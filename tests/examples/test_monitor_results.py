"""The page of results of the example monitors is what they do today."""

import os
import shutil

import pytest

from tools import monitor_results

pytestmark = [pytest.mark.clients, pytest.mark.timeout(900)]


def test_the_page_is_fresh() -> None:
    """Runs the largest scenarios with all monitors: the one test of what the examples notice."""
    if shutil.which("node") is None:
        assert not os.environ.get("REQUIRE_BROWSER"), "CI runs this test: install nodejs"
        pytest.skip("there is no Node.js: apt-get install nodejs")
    for path, text in monitor_results.texts().items():
        page = monitor_results.ROOT / path
        assert page.read_text(encoding="utf-8") == text, (
            "write it again: python -m tools.generate --monitor-results"
        )


def test_the_example_monitors_are_all_there() -> None:
    folder = monitor_results.ROOT / "examples" / "monitors"
    files = sorted(path.stem for path in folder.iterdir() if path.is_file())
    programs = [example.program for example in monitor_results.EXAMPLES]
    assert len(files) == len(programs)
    assert [f for f, program in zip(files, programs, strict=True) if f not in program] == []
