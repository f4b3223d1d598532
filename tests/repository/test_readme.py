"""The README is one screen, and the generated files are fresh."""

import re
import subprocess
import sys

from tests.repository.markdown import README, ROOT, blocks_of


def test_the_readme_is_one_screen_and_begins_with_two_targets() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 70
    typed = [block.body for block in blocks_of(README) if block.language == "sh"]
    assert re.findall(r"^make (\w+)", "".join(typed), re.MULTILINE) == ["run", "test"]


def test_generated_documents_are_fresh() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tools.generate", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
