"""Curls that are as old as those that people have, built from the source that packages of Rust's registry hold.

`python tests/old_curls.py` builds what is missing, and prints the folder of each. 7.61.1 is the curl of Red Hat Enterprise
Linux 8 and its UBI images; 7.51 is the oldest that those packages have and that today's OpenSSL builds.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

VERSIONS = {"7.51": "0.3.10", "7.61": "0.4.9"}
"""By curl's version that of the package curl-sys which holds its source."""
NEEDED = ("cargo", "cmake", "cc")
_MANIFEST = """
[package]
name = "curl-source"
version = "0.0.0"
edition = "2021"
[lib]
path = "unused.rs"
[dependencies]
curl-sys = { version = "=%s", default-features = false }
"""
_OPTIONS = (
    "-Wno-dev",
    "--no-warn-unused-cli",
    *("-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_C_FLAGS=-O1 -w", "-DBUILD_TESTING=OFF", "-DBUILD_CURL_TESTS=OFF"),
    *("-DBUILD_SHARED_LIBS=OFF", "-DCURL_STATICLIB=ON", "-DENABLE_MANUAL=OFF", "-DCMAKE_USE_OPENSSL=ON"),
    *("-DCURL_DISABLE_LDAP=ON", "-DCMAKE_USE_LIBSSH2=OFF", "-DCURL_ZLIB=OFF"),
)


def find(version: str) -> Path | str:
    """Return the program, or the sentence that says that it is missing."""
    program = _place(version)
    return program if program.exists() else f"curl {version} is not built (python tests/old_curls.py builds it)"


def build() -> None:
    """Build what is missing; raise CalledProcessError or FileNotFoundError where that cannot be done."""
    for version in VERSIONS:
        program = _place(version)
        if program.exists():
            continue
        print(f"building curl {version}, once on this machine", file=sys.stderr, flush=True)
        program.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["cmake", "-S", str(_source(version)), "-B", folder, *_OPTIONS], check=True, stdout=subprocess.PIPE)
            subprocess.run(["cmake", "--build", folder, "--target", "curl"], check=True, stdout=subprocess.PIPE)
            shutil.copyfile(Path(folder) / "src" / "curl", program.with_suffix(".new"))
        program.with_suffix(".new").chmod(0o755)
        program.with_suffix(".new").rename(program)


def _source(version: str) -> Path:
    """Return the folder of curl's source, in the package that Cargo fetches."""
    command = ["cargo", "metadata", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "Cargo.toml").write_text(_MANIFEST % VERSIONS[version])
        told = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout
    [manifest] = [each["manifest_path"] for each in json.loads(told)["packages"] if each["name"] == "curl-sys"]
    return Path(manifest).parent / "curl"


def _place(version: str) -> Path:
    pinned = " ".join((VERSIONS[version], *_OPTIONS)).encode()
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "egressctl-tests" / hashlib.sha256(pinned).hexdigest()[:16] / "curl"


if __name__ == "__main__":
    if missing := [name for name in NEEDED if not shutil.which(name)]:
        sys.exit(f"missing: {', '.join(missing)}\n  get them with: apt install cargo cmake gcc libssl-dev")
    try:
        build()
    except (OSError, subprocess.CalledProcessError) as failure:
        sys.exit(f"no old curl can be built: {failure}")
    print("\n".join(str(_place(each).parent) for each in VERSIONS))
