"""Compare the speed of egressctl's commands, as ratios within one run of this script.

    python bench/bench.py                      on a lab of its own, and on a real kube-apiserver
    python bench/bench.py --kubeconfig FILE    `run` on any Kubernetes cluster with Istio and a source pod

Prints each figure as it comes: the median, and the least of all rounds. What a command that fails says is shown once, and
the other figures are made all the same. Ends with 1 where one failed or is over its limit, and a last line says which. A
figure whose counterpart is not on this machine (kubectl, the programs of tests/cluster/binaries.py) is left out, and said so.

EGRESSCTL_BENCH_IN_A_ROW is how often part (c) goes through commands that follow each other faster than the sidecar does.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from functools import partial
from pathlib import Path

import files
import others
import own_lab
import real
from figures import Results, tell

ROUNDS = 11


def main() -> int:
    """Measure everything, print it, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", help="measure `run` there instead")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each is measured (default {ROUNDS})")
    parser.add_argument(
        "--only",
        default="lrfabcdegm",
        metavar="LETTERS",
        help="l lab, r run, f files, e; on a real API server: " + ", ".join([*real.PARTS, real.MESH]),
    )
    flags = parser.parse_args()
    if flags.rounds < 10:
        parser.error("--rounds: a median of fewer than 10 says little")
    # An installed package is compiled; a checkout is at its first run, unless this keeps it from that.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    results = Results()
    with tempfile.TemporaryDirectory(prefix="eb-") as home:
        os.environ["EGRESSCTL_LAB_HOME"] = home
        if "l" in flags.only:
            results.take("start", partial(own_lab.start_up, flags.rounds))
            if not flags.kubeconfig:
                results.take("lab up", partial(own_lab.lab_start, flags.rounds))
        if flags.kubeconfig:
            there = {**os.environ, "KUBECONFIG": flags.kubeconfig}
            results.take("run", partial(own_lab.run_broken_down, there, flags.rounds))
        else:
            if "r" in flags.only:
                with results.part("run on the lab"), own_lab.running() as there:
                    results.take("run on the lab", partial(own_lab.run_broken_down, there, flags.rounds))
            if "e" in flags.only:
                with results.part("every entry on the lab"), own_lab.running() as there:
                    each = partial(others.every_entry, there, Path(home), "on the lab", others.LIMIT)
                    results.take("every entry on the lab", each)
            if "f" in flags.only:
                results.take("files", partial(files.linted, flags.rounds))
            real.measure(results, flags.rounds, flags.only)
    if results.wrong:
        tell(f"failed, or over its limit: {'; '.join(results.wrong)}")
    return 1 if results.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
