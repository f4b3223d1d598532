"""Provide a Docker engine for the tests: a running one, or one of our own.

    python -m tools.bare_machine.engine start     start it; print the environment it needs
    python -m tools.bare_machine.engine stop      stop the engine that `start` started

If `docker version` reaches a server, that engine is used. Otherwise, as root on Debian, the engine
of Debian 13 is unpacked beside the system. Only the packages runc, iptables and mmdebstrap of the
running release are installed into the system itself. Everything else is cached in $TRADING_CACHE,
by default ~/.cache/trading-kind.
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
#: By command: packages of the running release, since they need its C library.
TOOLS = {"runc": "runc", "iptables": "iptables", "mmdebstrap": "mmdebstrap"}
#: Wall seconds for the engine to start or to stop.
_TIMEOUT = 60.0


class NoEngine(Exception):
    """Raised where there is no engine: says what was tried, and what to do."""


def home() -> Path:
    """Return the directory of our own engine: packages, data, socket and log."""
    return cache_directory() / f"docker-{RELEASE}"


def environment() -> dict[str, str]:
    """Return the environment variables by which clients reach our own engine."""
    directory = home()
    return {
        "PATH": f"{directory}/root/usr/bin:{directory}/root/usr/sbin:{os.environ['PATH']}",
        "DOCKER_HOST": f"unix://{directory}/docker.sock",
        # Compose as a plugin of this docker, not of another.
        "DOCKER_CONFIG": str(directory / "config"),
        "DOCKER_BUILDKIT": "0",
    }


def answers(extra: dict[str, str] | None = None) -> bool:
    """Return whether `docker version` reaches an engine, with `extra` environment variables."""
    variables = {**os.environ, **(extra or {})}
    docker = shutil.which("docker", path=variables["PATH"])
    if docker is None:
        return False
    answer = subprocess.run([docker, "version"], env=variables, capture_output=True, check=False)
    return answer.returncode == 0


def start() -> dict[str, str]:
    """Start our own engine if none answers. Return the environment variables that clients need;
    none where an engine answers already. Raises NoEngine.
    """
    if answers():
        return {}
    if answers(environment()):
        return environment()
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NoEngine(
            "no Docker engine answers `docker version`, and one can be installed only as root on"
            " Debian: start Docker, or set DOCKER_HOST"
        )
    try:
        _unpack()
        _start_daemon()
    except subprocess.CalledProcessError as error:
        words = " ".join(str(word) for word in error.cmd)
        raise NoEngine(f"{words}: exit code {error.returncode}: {error.stderr or ''}") from error
    return environment()


def stop() -> bool:
    """Stop the engine that `start` started; return False if it does not run."""
    try:
        pid = int((home() / "docker.pid").read_text())
        if b"dockerd" not in Path(f"/proc/{pid}/cmdline").read_bytes():
            return False
    except (OSError, ValueError):
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _TIMEOUT
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    return True


def _unpack() -> None:
    """Unpack the release's packages into `root`, with an apt configuration of their own."""
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
    targets = _run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
    mirrors = [line for line in targets.split() if line.rstrip("/").endswith("/debian")]
    if not mirrors:
        raise NoEngine("apt has no Debian mirror configured: see /etc/apt/sources.list")
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


def _start_daemon() -> None:
    directory = home()
    own = environment()
    with (directory / "dockerd.log").open("ab") as log:
        process = subprocess.Popen(
            [
                str(directory / "root/usr/sbin/dockerd"),
                *("--data-root", str(directory / "data"), "--exec-root", str(directory / "exec")),
                *("--host", own["DOCKER_HOST"], "--pidfile", str(directory / "docker.pid")),
                # Each service has a network: Docker's default address pools have too few.
                *("--default-address-pool", "base=172.30.0.0/16,size=24"),
            ],
            env={**os.environ, **own},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + _TIMEOUT
    while not answers(own):
        if process.poll() is not None or time.monotonic() > deadline:
            last = (directory / "dockerd.log").read_text(errors="replace").splitlines()[-5:]
            raise NoEngine("dockerd did not start:\n" + "\n".join(last))
        time.sleep(0.2)


def _run(*words: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    quiet = {**(env or os.environ), "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(
        list(words), check=True, capture_output=True, text=True, env=quiet, cwd=cwd
    ).stdout


def main(arguments: list[str]) -> int:
    """Run a command; return 0 on success, 2 if there is no engine or the arguments are wrong."""
    if arguments == ["start"]:
        try:
            variables = start()
        except NoEngine as error:
            print(error, file=sys.stderr)
            return 2
        for name, value in variables.items():
            print(f"export {name}={value}")
        return 0
    if arguments == ["stop"]:
        print("stopped" if stop() else "no engine of ours runs")
        return 0
    print((__doc__ or "").strip(), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
