"""Compare the speed of egressctl's commands, as ratios within one run of this script.

    python bench/bench.py                      on a lab of its own, and on a real kube-apiserver
    python bench/bench.py --kubeconfig FILE    `run` on any Kubernetes cluster with Istio and a source pod

Prints medians, and ends with 1 where a figure is over its limit. A figure whose counterpart is not on this
machine (kubectl, the programs of tests/cluster/binaries.py) is left out, and said so.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import files
import others
import own_lab
import real

ROUNDS = 11


def main() -> int:
    """Measure everything, print it, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", help="measure `run` there instead")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each is measured (default {ROUNDS})")
    parser.add_argument(
        "--only",
        default="lrfabcde",
        metavar="LETTERS",
        help="l lab, r run, f files, e; on a real API server: " + ", ".join(real.PARTS),
    )
    flags = parser.parse_args()
    if flags.rounds < 10:
        parser.error("--rounds: a median of fewer than 10 says little")
    # An installed package is compiled; a checkout is at its first run, unless this keeps it from that.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory(prefix="eb-") as home:
        os.environ["EGRESSCTL_LAB_HOME"] = home
        figures = []
        if "l" in flags.only:
            figures += own_lab.start_up(flags.rounds)
            figures += [] if flags.kubeconfig else own_lab.lab_start(flags.rounds)
        if flags.kubeconfig:
            figures += own_lab.run_broken_down({**os.environ, "KUBECONFIG": flags.kubeconfig}, [], flags.rounds)
        else:
            if "r" in flags.only:
                with own_lab.running() as environment:
                    figures += own_lab.run_broken_down(environment, [], flags.rounds)
            if "e" in flags.only:
                with own_lab.running() as environment:
                    figures += others.every_entry(environment, Path(home), "on the lab", others.LIMIT)
            if "f" in flags.only:
                figures += files.linted(flags.rounds)
            figures += real.measured(flags.rounds, flags.only)
    for figure in figures:
        print(figure)
    return 1 if any(figure.over for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
