"""Virtual environments of their own, for packages that do not go into the project's."""

import hashlib
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from tests.repository.markdown import ROOT


def interpreter(name: str, requirements: Path) -> str:
    """Return the interpreter of the virtual environment `name`, which has these requirements. It is
    created outside the checkout once for each set of versions.
    """
    versions = requirements.read_bytes() + sys.version.encode()
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    place = cache / "trading-ecosystem" / f"{name}-{hashlib.sha256(versions).hexdigest()[:16]}"
    python = str(place / "bin" / "python")
    if not (place / "complete").exists():
        venv.create(place, with_pip=True, clear=True)
        done = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "-r", str(requirements)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        (place / "complete").touch()
    return python


def with_project() -> dict[str, str]:
    """Return the environment variables with which such an interpreter has the project, too."""
    folders = [
        ROOT / "services",
        ROOT,
        sysconfig.get_path("purelib"),
        sysconfig.get_path("platlib"),
    ]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(map(str, folders)))}
