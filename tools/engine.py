"""A Docker engine for the tests: the one that answers, or one of our own.

    python -m tools.engine start     prints what to put into the environment
    python -m tools.engine stop      ends the one that start began

Where `docker version` has a server, that is used. Elsewhere, as root on Debian, the engine of
Debian 13 is unpacked beside the system, which is not changed but for `runc`, `iptables` and
`mmdebstrap`: its packages of the running release are installed. Everything is kept in
$TRADING_CACHE, or ~/.cache/trading-kind.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tools.helm import cache_directory

#: Debian 12's engine cannot run privileged containers where CAP_SYS_RESOURCE is missing.
RELEASE = "trixie"
PACKAGES = ("docker.io", "docker-cli", "docker-compose", "containerd", "tini")
#: Of the running release: its C library fits.
TOOLS = {"runc": "runc", "iptables": "iptables", "mmdebstrap": "mmdebstrap"}
_PATIENCE = 60.0


class NoEngine(Exception):
    """What was tried, and what to do."""


def home() -> Path:
    return cache_directory() / f"docker-{RELEASE}"


def environment() -> dict[str, str]:
    """Of the engine that :func:`start` began."""
    directory = home()
    return {
        "PATH": f"{directory}/root/usr/bin:{directory}/root/usr/sbin:{os.environ['PATH']}",
        "DOCKER_HOST": f"unix://{directory}/docker.sock",
        # Compose as a plugin of this docker, not of another.
        "DOCKER_CONFIG": str(directory / "config"),
        "DOCKER_BUILDKIT": "0",
    }


def answers(extra: dict[str, str] | None = None) -> bool:
    """Is there an engine behind `docker`?"""
    found = {**os.environ, **(extra or {})}
    docker = shutil.which("docker", path=found["PATH"])
    if docker is None:
        return False
    done = subprocess.run([docker, "version"], env=found, capture_output=True, check=False)
    return done.returncode == 0


def start() -> dict[str, str]:
    """What to add to the environment: nothing where an engine is there. Raises NoEngine."""
    if answers():
        return {}
    if answers(environment()):
        return environment()
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NoEngine(
            "no Docker engine answers `docker version`, and one can be made only as root on"
            " Debian: start Docker, or set DOCKER_HOST"
        )
    try:
        _unpack()
        _begin()
    except subprocess.CalledProcessError as error:
        words = " ".join(str(word) for word in error.cmd)
        raise NoEngine(f"{words}: exit code {error.returncode}: {error.stderr or ''}") from error
    return environment()


def stop() -> bool:
    """Only what :func:`start` began. False: nothing runs."""
    kept = home() / "docker.pid"
    try:
        number = int(kept.read_text())
        if b"dockerd" not in Path(f"/proc/{number}/cmdline").read_bytes():
            return False
    except (OSError, ValueError):
        return False
    os.kill(number, signal.SIGTERM)
    until = time.monotonic() + _PATIENCE
    while Path(f"/proc/{number}").exists() and time.monotonic() < until:
        time.sleep(0.1)
    return True


def _unpack() -> None:
    """The release's packages under ``root``, by an apt configuration of its own."""
    missing = [package for command, package in TOOLS.items() if shutil.which(command) is None]
    if missing:
        _run("apt-get", "update", "-qq")
        _run("apt-get", "install", "-y", "-qq", *missing)
    directory = home()
    if (directory / "unpacked").exists():
        return
    apt = directory / "apt"
    for path in ("state/lists/partial", "cache/archives/partial", "etc", "debs"):
        (apt / path).mkdir(parents=True, exist_ok=True)
    done = _run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
    mirrors = [line for line in done.split() if line.rstrip("/").endswith("/debian")]
    if not mirrors:
        raise NoEngine("apt knows no Debian mirror: see /etc/apt/sources.list")
    key = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (apt / "etc/sources.list").write_text(f"deb [signed-by={key}] {mirrors[0]} {RELEASE} main\n")
    (apt / "state/status").touch()
    configuration = apt / "apt.conf"
    configuration.write_text(
        f'Dir::State "{apt}/state"; Dir::Cache "{apt}/cache"; Dir::Etc::sourceparts "-";\n'
        f'Dir::Etc::sourcelist "{apt}/etc/sources.list"; Dir::State::status "{apt}/state/status";\n'
    )
    own = {**os.environ, "APT_CONFIG": str(configuration)}
    _run("apt-get", "update", "-qq", env=own)
    _run("apt-get", "download", "-qq", *PACKAGES, env=own, cwd=apt / "debs")
    root = directory / "root"
    for package in sorted((apt / "debs").glob("*.deb")):
        _run("dpkg", "-x", str(package), str(root))
    plugins = directory / "config" / "cli-plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    compose = root / "usr/libexec/docker/cli-plugins/docker-compose"
    (plugins / "docker-compose").unlink(missing_ok=True)
    (plugins / "docker-compose").symlink_to(compose)
    (directory / "unpacked").touch()


def _begin() -> None:
    directory = home()
    own = environment()
    with (directory / "dockerd.log").open("ab") as log:
        process = subprocess.Popen(
            [
                str(directory / "root/usr/sbin/dockerd"),
                *("--data-root", str(directory / "data"), "--exec-root", str(directory / "exec")),
                *("--host", own["DOCKER_HOST"], "--pidfile", str(directory / "docker.pid")),
                # A network for each service needs more of them than Docker's own pools have.
                *("--default-address-pool", "base=172.30.0.0/16,size=24"),
            ],
            env={**os.environ, **own},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    until = time.monotonic() + _PATIENCE
    while not answers(own):
        if process.poll() is not None or time.monotonic() > until:
            words = (directory / "dockerd.log").read_text(errors="replace").splitlines()[-5:]
            raise NoEngine("dockerd did not start:\n" + "\n".join(words))
        time.sleep(0.2)


def _run(*words: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    quiet = {**(env or os.environ), "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        list(words), check=True, capture_output=True, text=True, env=quiet, cwd=cwd
    )
    return done.stdout


def main(arguments: list[str]) -> int:
    """0 done, 2 no engine or wrong arguments."""
    if arguments == ["start"]:
        try:
            found = start()
        except NoEngine as error:
            print(error, file=sys.stderr)
            return 2
        for name, value in found.items():
            print(f"export {name}={value}")
        return 0
    if arguments == ["stop"]:
        print("stopped" if stop() else "none of ours runs")
        return 0
    print((__doc__ or "").strip(), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
