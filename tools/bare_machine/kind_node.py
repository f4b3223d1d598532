"""Build an image of a Kubernetes node for kind, where kind's own image cannot be pulled.

The image is a Debian with systemd, containerd, the programs of a node, and the images of the
control plane. kube-router enforces the NetworkPolicies: on kernels without NFT_QUEUE kind's own
network plugin accepts policies and does not enforce them.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tools.bare_machine.building import (
    LABEL,
    docker_import,
    is_present,
    label_of,
    root_file_system,
    run,
    step,
)
from tools.bare_machine.kind_programs import KUBE_ROUTER, KUBERNETES, SOURCES, programs

TAG = f"trading-kind-node:{KUBERNETES}"
ETCD = "3.5.16-0"
_PAUSE = "3.10.1"
_BASE = "trading-kind-base:1"
_BASE_PACKAGES = (
    *("ca-certificates", "iptables", "ipset", "conntrack", "iproute2", "nftables", "kmod"),
    *("etcd-server", "procps"),
)
_NODE_PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "containerd", "runc", "iptables", "ipset", "nftables"),
    *("conntrack", "iproute2", "kmod", "mount", "util-linux", "procps", "hostname", "socat"),
    *("ca-certificates", "ethtool", "libseccomp2", "bash", "tar", "gzip", "tini"),
)
#: Units that cannot run, or are not needed, in a container.
_MASKED = (
    *("dev-hugepages.mount", "sys-fs-fuse-connections.mount", "systemd-udevd.service"),
    *("systemd-udev-trigger.service", "systemd-logind.service", "getty.target"),
    *("console-getty.service", "systemd-remount-fs.service", "systemd-timesyncd.service"),
    *("systemd-firstboot.service", "systemd-journald-audit.socket"),
)
#: Number of volumes that the node provides: see root/kind/manifests/default-storage.yaml.
_VOLUMES = 12
#: Wall seconds for containerd to start.
_TIMEOUT = 60.0


def node_image() -> str:
    """Return the image's tag, built if it is not present. Raises CalledProcessError, NoEngine."""
    binaries = programs()
    key = _key(binaries)
    if label_of(TAG) == key:
        return TAG
    title = f"{TAG}, with the images of the control plane in it"
    with step(title), tempfile.TemporaryDirectory(prefix="kind-node-") as directory:
        _build(Path(directory), binaries, key)
    return TAG


def _key(binaries: Path) -> str:
    digest = hashlib.sha256(f"{binaries.name}{_BASE_PACKAGES}{_NODE_PACKAGES}{_MASKED}".encode())
    digest.update(Path(__file__).read_bytes())
    for path in sorted(p for p in SOURCES.rglob("*") if p.is_file()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _build(work: Path, binaries: Path, key: str) -> None:
    if not is_present(_BASE):
        docker_import(_BASE, root_file_system(_BASE_PACKAGES))
    root = work / "root"
    root.mkdir()
    archive = root_file_system(_NODE_PACKAGES)
    run("tar", "-C", str(root), "-xf", str(archive), "--exclude=./dev/*")
    _install(root, binaries)
    images = _control_plane(work, binaries)
    run("docker", "save", "-o", str(work / "images.tar"), *images)
    _preload(root, work)
    packed = work / "node.tar"
    run("tar", "-C", str(root), "--exclude=./proc/*", "--exclude=./sys/*", "-cf", str(packed), ".")
    changes = (
        'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]',
        "ENV container=docker",
        "STOPSIGNAL SIGRTMIN+3",
        f"LABEL {LABEL}={key}",
    )
    words = [word for change in changes for word in ("--change", change)]
    run("docker", "import", *words, str(packed), TAG)


def _install(root: Path, binaries: Path) -> None:
    shutil.copytree(SOURCES / "root", root, dirs_exist_ok=True, symlinks=True)
    (root / "usr/local/bin/entrypoint").chmod(0o755)
    for name in ("kubeadm", "kubelet", "kubectl"):
        shutil.copy(binaries / name, root / "usr/bin")
    plugins = root / "opt/cni/bin"
    plugins.mkdir(parents=True, exist_ok=True)
    for name in ("ptp", "loopback", "host-local", "portmap"):
        shutil.copy(binaries / name, plugins)
    units = root / "etc/systemd/system"
    enabled = units / "multi-user.target.wants"
    enabled.mkdir(parents=True, exist_ok=True)
    _link(enabled / "kubelet.service", "/etc/systemd/system/kubelet.service")
    _link(enabled / "containerd.service", "/usr/lib/systemd/system/containerd.service")
    for unit in _MASKED:
        _link(units / unit, "/dev/null")
    _link(root / "sbin/init", "/lib/systemd/systemd")
    for number in range(1, _VOLUMES + 1):
        volume = root / f"var/local/volumes/{number}"
        volume.mkdir(parents=True)
        # Pods run as users of their own.
        volume.chmod(0o777)


def _link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def _control_plane(work: Path, binaries: Path) -> list[str]:
    """Build the images that kubeadm expects, under their official names; return these names."""
    expected = subprocess.run(
        [binaries / "kubeadm", "config", "images", "list", "--kubernetes-version", KUBERNETES],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    coredns = next(name for name in expected if "coredns" in name)
    tags = []
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        tag = f"registry.k8s.io/{name}:{KUBERNETES}"
        _image(work, tag, "FROM scratch", binaries / name)
        tags.append(tag)
    _image(work, coredns, "FROM scratch", binaries / "coredns")
    _image(work, f"registry.k8s.io/pause:{_PAUSE}", "FROM scratch", binaries / "pause")
    proxy = f"registry.k8s.io/kube-proxy:{KUBERNETES}"
    _image(work, proxy, f"FROM {_BASE}", binaries / "kube-proxy")
    router = f"localhost/kube-router:{KUBE_ROUTER}"
    _image(work, router, f"FROM {_BASE}", binaries / "kube-router")
    etcd = f"registry.k8s.io/etcd:{ETCD}"
    run("docker", "tag", _BASE, etcd)
    return [*tags, coredns, f"registry.k8s.io/pause:{_PAUSE}", proxy, router, etcd]


def _image(work: Path, tag: str, base: str, program: Path) -> None:
    context = work / f"context-{program.name}"
    context.mkdir()
    shutil.copy(program, context)
    where = f"/usr/local/bin/{program.name}"
    (context / "Dockerfile").write_text(
        f"{base}\nCOPY {program.name} {where}\n"
        "ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
        f"ENTRYPOINT {json.dumps([where])}\n"
    )
    run("docker", "build", "--quiet", "--tag", tag, str(context))


def _preload(root: Path, work: Path) -> None:
    """Import the images into the node's containerd, with a containerd on this machine."""
    store = root / "var/lib/containerd"
    shutil.rmtree(store, ignore_errors=True)
    store.mkdir(parents=True)
    socket = work / "containerd.sock"
    with (work / "containerd.log").open("wb") as log:
        process = subprocess.Popen(
            ["containerd", "--root", store, "--state", work / "state", "--address", socket],
            stdout=log,
            stderr=log,
            env=dict(os.environ),
        )
    try:
        deadline = time.monotonic() + _TIMEOUT
        while subprocess.run(["ctr", "-a", socket, "version"], capture_output=True).returncode:
            if time.monotonic() > deadline or process.poll() is not None:
                raise subprocess.CalledProcessError(1, ["containerd"])
            time.sleep(0.2)
        ctr = ("ctr", "-a", str(socket), "-n", "k8s.io", "images")
        run(*ctr, "import", "--no-unpack", str(work / "images.tar"))
        for name in run(*ctr, "ls", "-q").split():
            run(*ctr, "label", name, "io.cri-containerd.pinned=pinned")
    finally:
        process.terminate()
        process.wait()
