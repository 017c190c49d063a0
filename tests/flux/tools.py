"""The programs of a cluster: etcd as the system has it, all else built with Go at the versions and checksums in
`tools/*/go.mod` and `go.sum`, once, into a cache outside the tree.

`python tools.py` builds what is not there yet, and shows how that goes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).with_name("tools")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gitops-brain-flux"
NAMES = [
    "kube-apiserver",
    "kubectl",
    "source-controller",
    "kustomize-controller",
    "notification-controller",
    "helm-controller",
]
# An API server tells its version to all who ask, and takes it from the linker.
VERSIONED = "k8s.io/component-base/version.gitVersion"


class Missing(Exception):
    """Something is not to be had on this machine."""


@dataclass(frozen=True)
class Tools:
    """Where the programs and the types of their objects are."""

    etcd: Path
    folders: dict[str, Path]

    def program(self, name: str) -> Path:
        return self.folders[name] / name

    def types(self) -> list[Path]:
        """The CustomResourceDefinitions that the controllers bring along."""
        return sorted(path for folder in self.folders.values() for path in folder.glob("crds/*.yaml"))


def find() -> Tools:
    """Builds what is not there."""
    etcd = shutil.which("etcd")
    if etcd is None:
        raise Missing("etcd is not installed (Debian: apt-get install etcd-server)")
    return Tools(Path(etcd), {name: folder(name) for name in NAMES})


def folder(name: str) -> Path:
    module = MODULES / name
    digest = hashlib.sha256(b"".join((module / file).read_bytes() for file in ["go.mod", "go.sum"]))
    place = CACHE / f"{name}-{digest.hexdigest()[:12]}"
    if not place.exists():
        if shutil.which("go") is None:
            raise Missing(f"{name} is built with Go, which is not installed")
        print(f"building {name} …", file=sys.stderr, flush=True)
        build(module, name, place)
    return place


def build(module: Path, name: str, place: Path) -> None:
    # What is half built has another name, so that nobody takes it for whole.
    half = place.with_suffix(f".{os.getpid()}")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    flags = "-s -w"
    if name.startswith("kube"):
        flags += f" -X {VERSIONED}={go(module, 'list', '-m', '-f', '{{.Version}}', 'k8s.io/kubernetes')}"
    # Two packages at a time, and gently: a build of all takes as long as it takes.
    go(module, "build", "-p", "2", "-trimpath", f"-ldflags={flags}", "-o", str(half / name), "tool")
    source = go(module, "list", "-f", "{{.Module.Dir}}", "tool")
    (half / "crds").mkdir()
    for types in Path(source).glob("config/crd/bases/*.yaml"):
        shutil.copyfile(types, half / "crds" / types.name)
    half.rename(place)


def go(module: Path, *command: str) -> str:
    # Whoever runs this may have flags of their own, which are not for these modules.
    environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
    done = subprocess.run(
        ["nice", "-n", "10", "go", *command], cwd=module, env=environment, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise Missing(f"go {command[0]} of {module.name}: {done.stderr.strip()[-2000:]}")
    return done.stdout.strip()


if __name__ == "__main__":
    try:
        find()
    except Missing as missing:
        # The tests say so too, and count what they skip.
        print(f"not to be had: {missing}", file=sys.stderr)
