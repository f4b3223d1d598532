"""Run the shell and Python blocks of a page in their order, in a directory of its own.

A Python block that begins with a comment such as `# my_monitor.py` is saved as this file. A `text`
block right after a block that ran shows its output: the output must have these lines, in
this order, where `...` stands for any text.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.api.running import PORTS, Up, quoted, wait_for
from tests.repository.markdown import ROOT, Block

#: The commands of these targets, which run here without make and its installation.
_MAKE_TARGETS = {"make run": f"cd {ROOT} && trading run scenarios/market-crash.yaml"}

#: The `trading` command, with the URL of the service for commands that call a running ecosystem.
_WRAPPER = """#!/bin/sh
case "$1 $2" in
"scenario run"|"scenario runs"|"scenario abort"|"scenario watch")
	exec {python} -m trading.cli "$@" --target http://127.0.0.1:{coordinator} ;;
"login "*) exec {python} -m trading.cli "$@" --target http://127.0.0.1:{monitor} ;;
*) exec {python} -m trading.cli "$@" ;;
esac
"""


class PageRunner:
    """Runs pages in `directory`. Commands that call a service call the ecosystem `up`, if there is
    one.
    """

    def __init__(self, directory: Path, up: Up | None) -> None:
        self._directory = directory / "page"
        self._directory.mkdir(exist_ok=True)
        self._up = up
        self._offset = up.offset if up is not None else 0
        programs = directory / "programs"
        programs.mkdir()
        ports = {"coordinator": 8085 + self._offset, "monitor": 8084 + self._offset}
        wrapper = programs / "trading"
        wrapper.write_text(_WRAPPER.format(python=sys.executable, **ports), encoding="utf-8")
        wrapper.chmod(0o755)
        here = Path(sys.executable).parent
        path = os.pathsep.join([str(programs), str(here), os.environ["PATH"]])
        self._environment = {**os.environ, "PATH": path, "COLUMNS": "200"}

    def run(self, blocks: list[Block]) -> None:
        """Run each block that can be run. Raises AssertionError with the name of a block that
        fails, or whose output differs from what the page shows.
        """
        printed = None
        for block in blocks:
            if block.language == "sh":
                printed = self._run(
                    block, ["sh", "-eu", "-c", self._with_actual_ports(_script(block.body))]
                )
            elif name := file_name(block):
                (self._directory / name).write_text(block.body, encoding="utf-8")
                printed = None
            elif block.language == "python" and "import ccxt" not in block.body:
                printed = self._run(
                    block, [sys.executable, "-c", self._with_actual_ports(block.body)]
                )
            elif block.language == "text" and printed is not None:
                missing = not_shown(block.body, printed)
                assert not missing, f"{block.name}: not printed: {missing}\n{printed}"
                printed = None
            else:
                printed = None
                if block.language == "yaml":
                    self._write_scenario(block)

    def _run(self, block: Block, command: list[str]) -> str:
        result = subprocess.run(
            command,
            cwd=self._directory,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=240,
        )
        assert result.returncode == 0, (
            f"{block.name}: exit code {result.returncode}\n{result.stdout}"
        )
        return self._with_default_ports(result.stdout)

    def _with_actual_ports(self, text: str) -> str:
        """Replace the default ports by those of the ecosystem that was started for the page."""
        if self._up is None:
            return text
        return re.sub(r"\b(808[0-6])\b", lambda m: str(int(m[1]) + self._offset), text)

    def _with_default_ports(self, text: str) -> str:
        """Replace the ports of the ecosystem by the default ones, which the page shows."""
        for port in PORTS if self._up is not None else ():
            text = text.replace(str(port + self._offset), str(port))
        return text

    def _write_scenario(self, block: Block) -> None:
        """Write a scenario under its name, as the page asks its reader to, unless the file
        exists.
        """
        document: Any = yaml.safe_load(block.body)
        if isinstance(document, dict) and document.get("kind") == "ChaosScenario":
            file = self._directory / f"{document['metadata']['name']}.yaml"
            if not file.exists():
                file.write_text(block.body, encoding="utf-8")


def file_name(block: Block) -> str:
    """Return the name of the file that a Python block is saved as; an empty text if it is run."""
    match = re.match(r"# (\w+\.py)\n", block.body) if block.language == "python" else None
    return match[1] if match else ""


def _script(body: str) -> str:
    lines = []
    for line in body.splitlines():
        command = line.partition("#")[0].strip()
        if command in _MAKE_TARGETS:
            lines.append(_MAKE_TARGETS[command])
        elif command.startswith("make "):
            lines.append(f"make -C {ROOT} -n {command.removeprefix('make ')}")
        else:
            lines.append(line)
    return "\n".join(lines)


def not_shown(expected: str, printed: str) -> list[str]:
    """Return the expected lines that were not printed, in their order."""
    lines = [line.rstrip() for line in printed.splitlines()]
    at = 0
    missing = []
    for line in expected.rstrip("\n").splitlines():
        pattern = re.compile(".*".join(re.escape(part) for part in line.rstrip().split("...")))
        index = next((i for i in range(at, len(lines)) if pattern.fullmatch(lines[i])), None)
        if line.strip() in ("", "..."):
            continue
        if index is None:
            missing.append(line)
        else:
            at = index + 1
    return missing


def wait_for_quotes(up: Up) -> None:
    """Wait until the order book has both sides."""
    wait_for("a two-sided book", lambda: quoted(up))
