"""The programs of a real control plane: found, or built from the pinned modules beside this file and in tests/istiod.

`python tests/cluster/binaries.py` builds what is missing. The programs lie in a folder per user, outside any checkout, so
that only a new machine pays for them. `KUBEBUILDER_ASSETS` names a folder with kube-apiserver and etcd, as for envtest.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ISTIOD = HERE.parent / "istiod"
PROGRAMS = {
    "kube-apiserver": ("k8s.io/kubernetes/cmd/kube-apiserver", "-X k8s.io/component-base/version.gitVersion=v1.37.2"),
    "etcd": ("go.etcd.io/etcd/server/v3", ""),
    "kwok": ("sigs.k8s.io/kwok/cmd/kwok", ""),
}
DISCOVERY = "istio.io/istio/pilot/cmd/pilot-discovery"
DEFINITIONS = "customresourcedefinitions.gen.yaml"
GATEWAY_API = "gateway-api.yaml"
_ISTIO, _GATEWAY = "istio.io/api", "sigs.k8s.io/gateway-api"
REQUIRED = "EGRESSCTL_TEST_CLUSTER"
"""Set to `required`, the tests against a real control plane are run, and what is missing fails them."""


@dataclass(frozen=True)
class Binaries:
    """Where the programs are, and the CustomResourceDefinitions of Istio and of the Gateway API."""

    apiserver: Path
    etcd: Path
    kwok: Path
    istiod: Path
    discovery: Path
    definitions: Path
    gateway_api: Path


def cache(sources: Path = HERE) -> Path:
    """Return the folder of what was built from these very go.mod files and programs of our own."""
    pinned = b"".join(path.read_bytes() for path in sorted([*sources.rglob("go.*"), *sources.rglob("*.go")]))
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "egressctl-tests" / hashlib.sha256(pinned).hexdigest()[:16]


def find() -> Binaries | str:
    """Return the programs, or the sentence that says what is missing."""
    assets, built = os.environ.get("KUBEBUILDER_ASSETS"), cache()
    theirs = Path(assets) if assets else built
    found = Binaries(
        theirs / "kube-apiserver",
        theirs / "etcd",
        built / "kwok",
        cache(ISTIOD) / "istiod",
        cache(ISTIOD) / "pilot-discovery",
        built / DEFINITIONS,
        cache(ISTIOD) / GATEWAY_API,
    )
    missing = [path.name for path in vars(found).values() if not path.exists()]
    if missing:
        return f"no real control plane: {', '.join(missing)} not built (make test-mesh builds them; takes Go and 10 minutes)"
    return found


def build() -> Binaries:
    """Build what is missing; raise CalledProcessError or FileNotFoundError where that cannot be done."""
    folder = cache()
    folder.mkdir(parents=True, exist_ok=True)
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    for program, (package, flags) in PROGRAMS.items():
        if not (assets and (Path(assets) / program).exists()):
            build_program(folder / program, package, HERE / program, flags)
    build_program(cache(ISTIOD) / "istiod", ".", ISTIOD)
    build_program(cache(ISTIOD) / "pilot-discovery", DISCOVERY, ISTIOD)
    if not (folder / DEFINITIONS).exists():
        _go(["go", "mod", "download", _ISTIO], HERE / "istio-api")
        module = _go(["go", "list", "-m", "-f", "{{.Dir}}", _ISTIO], HERE / "istio-api").strip()
        shutil.copyfile(Path(module) / "kubernetes" / DEFINITIONS, folder / f"{DEFINITIONS}.new")
        (folder / f"{DEFINITIONS}.new").rename(folder / DEFINITIONS)
    if not (cache(ISTIOD) / GATEWAY_API).exists():
        _go(["go", "mod", "download", _GATEWAY], ISTIOD)
        sources = Path(_go(["go", "list", "-m", "-f", "{{.Dir}}", _GATEWAY], ISTIOD).strip())
        texts = [path.read_text() for path in sorted((sources / "config/crd/standard").glob("gateway.*s.yaml"))]
        new = cache(ISTIOD) / f"{GATEWAY_API}.new"
        new.write_text("\n---\n".join(texts))
        new.rename(cache(ISTIOD) / GATEWAY_API)
    found = find()
    assert isinstance(found, Binaries), found
    return found


def build_program(program: Path, package: str, module: Path, flags: str = "") -> None:
    """Build one program of the Go module in a folder, where it is missing."""
    if program.exists():
        return
    print(f"building {program.name}, once on this machine", flush=True)
    program.parent.mkdir(parents=True, exist_ok=True)
    command = ["go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", f"-s -w {flags}"]
    new = program.with_suffix(".new")
    _go([*command, "-o", str(new), package], module)
    new.rename(program)


def _go(command: list[str], folder: Path) -> str:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
    return subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    if not shutil.which("go"):
        sys.exit("missing: Go 1.26 or later\n  get it with: apt install golang-go, or from go.dev")
    print(f"real control plane: {build().apiserver.parent}")
