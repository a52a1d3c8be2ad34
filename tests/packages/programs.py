"""What the tests of packages need besides Python: two programs in Go, and those that Debian has.

`python tests/packages/programs.py` builds the first, from the pinned modules beside this file; only a new machine pays for it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from cluster import binaries

HERE = Path(__file__).parent
ASKED = "EGRESSCTL_TEST_PACKAGES"
"""Set to anything, the tests of packages are run; set to `required`, what is missing fails them instead of leaving some out."""

PROGRAMS = {
    "actionlint": "github.com/rhysd/actionlint/cmd/actionlint",
    "krew": "sigs.k8s.io/krew/cmd/validate-krew-manifest",
}


def build() -> None:
    """Build what is missing."""
    for name, package in PROGRAMS.items():
        binaries.build_program(_place(name), package, HERE / name)


def find_program(name: str) -> str:
    """Return the path of a program; without it the test is left out, or fails where all are required."""
    found = str(_place(name)) if name in PROGRAMS and _place(name).exists() else shutil.which(name)
    if found:
        return found
    missing = f"{name} is not on this machine" + (" (python tests/packages/programs.py builds it)" if name in PROGRAMS else "")
    if os.environ.get(ASKED) == "required":
        pytest.fail(missing)
    pytest.skip(missing)


def _place(name: str) -> Path:
    return binaries.cache(HERE / name) / name


if __name__ == "__main__":
    build()
