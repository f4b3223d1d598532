"""An image of a Kubernetes node for kind, where its own cannot be pulled.

A Debian with systemd, containerd and the programs of a node, and in it the images of the control
plane. kube-router holds the NetworkPolicies: on kernels without NFT_QUEUE kind's own plugin takes
them and holds none.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tools.building import LABEL, docker_import, is_there, label_of, root_file_system, run, step
from tools.kind_programs import FOLDER, KUBE_ROUTER, KUBERNETES, programs

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
#: Units that a container cannot have, or does not want.
_MASKED = (
    *("dev-hugepages.mount", "sys-fs-fuse-connections.mount", "systemd-udevd.service"),
    *("systemd-udev-trigger.service", "systemd-logind.service", "getty.target"),
    *("console-getty.service", "systemd-remount-fs.service", "systemd-timesyncd.service"),
    *("systemd-firstboot.service", "systemd-journald-audit.socket"),
)
#: Volumes that the node has ready: see root/kind/manifests/default-storage.yaml.
_VOLUMES = 12
_PATIENCE = 60.0


def node_image() -> str:
    """Its tag; built where it is not there. Raises CalledProcessError, NoEngine."""
    found = programs()
    key = _key(found)
    if label_of(TAG) == key:
        return TAG
    what = f"{TAG}, with the images of the control plane in it"
    with step(what), tempfile.TemporaryDirectory(prefix="kind-node-") as directory:
        _build(Path(directory), found, key)
    return TAG


def _key(found: Path) -> str:
    made_from = hashlib.sha256(f"{found.name}{_BASE_PACKAGES}{_NODE_PACKAGES}{_MASKED}".encode())
    made_from.update(Path(__file__).read_bytes())
    for path in sorted(p for p in FOLDER.rglob("*") if p.is_file()):
        made_from.update(path.read_bytes())
    return made_from.hexdigest()[:16]


def _build(work: Path, found: Path, key: str) -> None:
    if not is_there(_BASE):
        docker_import(_BASE, root_file_system(_BASE_PACKAGES))
    root = work / "root"
    root.mkdir()
    archive = root_file_system(_NODE_PACKAGES)
    run("tar", "-C", str(root), "-xf", str(archive), "--exclude=./dev/*")
    _furnish(root, found)
    images = _control_plane(work, found)
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


def _furnish(root: Path, found: Path) -> None:
    shutil.copytree(FOLDER / "root", root, dirs_exist_ok=True, symlinks=True)
    (root / "usr/local/bin/entrypoint").chmod(0o755)
    for name in ("kubeadm", "kubelet", "kubectl"):
        shutil.copy(found / name, root / "usr/bin")
    plugins = root / "opt/cni/bin"
    plugins.mkdir(parents=True, exist_ok=True)
    for name in ("ptp", "loopback", "host-local", "portmap"):
        shutil.copy(found / name, plugins)
    units = root / "etc/systemd/system"
    wanted = units / "multi-user.target.wants"
    wanted.mkdir(parents=True, exist_ok=True)
    _link(wanted / "kubelet.service", "/etc/systemd/system/kubelet.service")
    _link(wanted / "containerd.service", "/usr/lib/systemd/system/containerd.service")
    for unit in _MASKED:
        _link(units / unit, "/dev/null")
    _link(root / "sbin/init", "/lib/systemd/systemd")
    for number in range(1, _VOLUMES + 1):
        volume = root / f"var/local/volumes/{number}"
        volume.mkdir(parents=True)
        # Pods have users of their own.
        volume.chmod(0o777)


def _link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def _control_plane(work: Path, found: Path) -> list[str]:
    """The images that kubeadm wants, under their names."""
    said = subprocess.run(
        [found / "kubeadm", "config", "images", "list", "--kubernetes-version", KUBERNETES],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    coredns = next(name for name in said if "coredns" in name)
    made = []
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        tag = f"registry.k8s.io/{name}:{KUBERNETES}"
        _image(work, tag, "FROM scratch", found / name)
        made.append(tag)
    _image(work, coredns, "FROM scratch", found / "coredns")
    _image(work, f"registry.k8s.io/pause:{_PAUSE}", "FROM scratch", found / "pause")
    proxy = f"registry.k8s.io/kube-proxy:{KUBERNETES}"
    _image(work, proxy, f"FROM {_BASE}", found / "kube-proxy")
    router = f"localhost/kube-router:{KUBE_ROUTER}"
    _image(work, router, f"FROM {_BASE}", found / "kube-router")
    etcd = f"registry.k8s.io/etcd:{ETCD}"
    run("docker", "tag", _BASE, etcd)
    return [*made, coredns, f"registry.k8s.io/pause:{_PAUSE}", proxy, router, etcd]


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
    """Into the node's containerd, by one on this machine."""
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
        until = time.monotonic() + _PATIENCE
        while subprocess.run(["ctr", "-a", socket, "version"], capture_output=True).returncode:
            if time.monotonic() > until or process.poll() is not None:
                raise subprocess.CalledProcessError(1, ["containerd"])
            time.sleep(0.2)
        ctr = ("ctr", "-a", str(socket), "-n", "k8s.io", "images")
        run(*ctr, "import", "--no-unpack", str(work / "images.tar"))
        for name in run(*ctr, "ls", "-q").split():
            run(*ctr, "label", name, "io.cri-containerd.pinned=pinned")
    finally:
        process.terminate()
        process.wait()
