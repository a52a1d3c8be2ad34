"""Compare egressctl on a real kube-apiserver with what people type today.

The probes go through the lab's sidecar, and exec through KWOK's kubelet.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_network
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import others
import yaml
from figures import EGRESSCTL, Figure, interleaved, output, quiet, ratio, seconds

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))

from cluster import binaries  # noqa: E402
from cluster.cluster import RealCluster  # noqa: E402

MANY, OTHERS, BLOCKS, TARGETS = 100, 1000, 5, 200
URL = "https://www.wikipedia.org"
OTHER = r"other-\d+\.example"
ENTRIES = "/apis/networking.istio.io/v1/namespaces"

SPEC: dict[str, Any] = {
    "location": "MESH_EXTERNAL",
    "resolution": "NONE",
    "ports": [{"number": 443, "name": "tcp-port", "protocol": "TCP"}],
}

# The document's five steps, with a pod that is there: they make no proof of anything.
DOCUMENT = """
set -e
kubectl apply -f {entry}
pod=$(kubectl get pod -l app=sleep -o 'jsonpath={{.items[0].metadata.name}}')
kubectl exec "$pod" -c sleep -- curl -s -o /dev/null -w '%{{http_code}}' https://www.wikipedia.org
kubectl exec "$pod" -c sleep -- curl -s https://en.wikipedia.org/wiki/Main_Page | grep articlecount
kubectl delete -f {entry}
"""

# What egressctl asks, asked by hand: the sidecar before and after each probe, who else is there, whether it has followed.
_ASK = """
set -e
pod=$(kubectl get pod -l app=sleep -o 'jsonpath={{.items[0].metadata.name}}')
ask() {{ kubectl exec "$pod" -c istio-proxy -- pilot-agent request GET "$1"; }}
listeners='config_dump?resource=dynamic_listeners&mask=name,active_state'
"""
_PROBE = """
ask "$listeners"
ask 'clusters?format=json'
kubectl get serviceentries -o json
kubectl exec "$pod" -c sleep -- curl -s -o /dev/null -o /dev/null -w '%{{http_code}}' \\
  https://www.wikipedia.org https://en.wikipedia.org/wiki/Main_Page file:///proc/net/tcp || true
ask config_dump
ask 'clusters?format=json'
"""
_APPLY = """
kubectl get serviceentries -A -o json
kubectl apply -f {entry}
until ask "$listeners" | grep -q wikipedia.org; do :; done
"""
_DELETE = """
kubectl delete -f {entry}
while ask "$listeners" | grep -q wikipedia.org; do :; done
"""
SAME_AS_VERIFY = _ASK + _PROBE
SAME_AS_CLEANUP = _ASK + _DELETE + _PROBE
SAME_AS_RUN = _ASK + _APPLY + _PROBE + _DELETE + _PROBE
ONE_DUMP = "kubectl exec sleep -c istio-proxy -- pilot-agent request GET 'config_dump?resource=dynamic_listeners'"


class Bench:
    """A real control plane with a data plane, and the files that the commands are given."""

    def __init__(self, real: RealCluster, folder: Path, rounds: int) -> None:
        self.real, self.folder, self.rounds = real, folder, rounds
        self.environment = {**os.environ, "KUBECONFIG": str(real.kubeconfig)}

    def egressctl(self, *argv: str) -> Callable[[], None]:
        return lambda: self.do([EGRESSCTL, *argv])

    def shell(self, script: str, **words: object) -> Callable[[], None]:
        return lambda: self.do(["sh", "-c", script.format(**words)])

    def do(self, argv: Sequence[str]) -> None:
        try:
            quiet(argv, self.environment)
        except subprocess.CalledProcessError:
            said = subprocess.run(argv, env=self.environment, capture_output=True, text=True, check=False)
            raise SystemExit(
                f"{shlex.join(argv)[:400]} failed; once more, it ended with {said.returncode}:\n{said.stderr}"
            ) from None

    def write(self, name: str, documents: Sequence[dict[str, Any]]) -> Path:
        path = self.folder / name
        path.write_text(yaml.safe_dump_all(documents, sort_keys=False))
        return path

    def entry(self) -> Path:
        """Write the catalogue's wikipedia as a manifest for kubectl."""
        path = self.folder / "wikipedia.yaml"
        path.write_text(output(EGRESSCTL, "render", "wikipedia"))
        return path

    def empty(self, namespace: str) -> None:
        """Delete a namespace's ServiceEntries."""
        assert self.real.api("DELETE", f"{ENTRIES}/{namespace}/serviceentries")[0] == 200

    def compare(self, rounds: int, **calls: Callable[[], None]) -> dict[str, list[float]]:
        interleaved(calls, 1)
        return interleaved(calls, rounds)

    def largest(self, *argv: str) -> float:
        """Return the most memory that a command had, in MB."""
        process = subprocess.Popen([EGRESSCTL, *argv], env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, _, usage = os.wait4(process.pid, 0)
        return usage.ru_maxrss / 1000


def the_task(bench: Bench) -> list[Figure]:
    """(a) The whole task against the document's steps, and against a script that asks what `run` asks."""
    entry = bench.entry()
    found = bench.compare(
        bench.rounds,
        run=bench.egressctl("run", "wikipedia"),
        document=bench.shell(DOCUMENT, entry=entry),
        same=bench.shell(SAME_AS_RUN, entry=entry),
    )
    return [
        Figure("egressctl run wikipedia", median(found["run"]), None, "s"),
        Figure("  / the document's steps in a script, without proof", ratio(found["run"], found["document"]), 1.5, "x"),
        Figure("  / a script that asks the same questions", ratio(found["run"], found["same"]), 0.8, "x"),
    ]


def many_probes(bench: Bench) -> list[Figure]:
    """(b) Probes with their proof, against probes without."""
    bench.do([EGRESSCTL, "create", "wikipedia"])
    files = {count: bench.write(f"{count}.yaml", [_probes(count)]) for count in (MANY, 10 * MANY)}
    loop = f"for i in $(seq {MANY}); do kubectl exec sleep -c sleep -- curl -s -o /dev/null '{URL}/status/200?'$i; done"
    outputs = [word for url in _urls(10 * MANY) for word in ("-o", "/dev/null", url)]
    bare = ["kubectl", "exec", "sleep", "-c", "sleep", "--", "curl", "-s", "-w", "%{http_code} ", "--parallel", *outputs]
    few, many = (bench.egressctl("verify", "-f", str(files[count])) for count in (MANY, 10 * MANY))
    hundred = bench.compare(3, verify=few, loop=bench.shell(loop))
    thousand = bench.compare(bench.rounds, verify=many, bare=lambda: bench.do(bare))
    bench.do([EGRESSCTL, "cleanup"])
    return [
        Figure(f"egressctl verify, {MANY} probes with their proof", median(hundred["verify"]), None, "s"),
        Figure("  / a loop of kubectl exec ... curl", ratio(hundred["verify"], hundred["loop"]), 0.1, "x"),
        Figure(f"egressctl verify, {10 * MANY} probes with their proof", median(thousand["verify"]), None, "s"),
        Figure("  / bare curl --parallel in the pod", ratio(thousand["verify"], thousand["bare"]), 4.0, "x"),
    ]


def _urls(count: int) -> list[str]:
    return [f"{URL}/status/200?{index}" for index in range(count)]


def _probes(count: int) -> dict[str, Any]:
    return {
        "apiVersion": "egressctl.dev/v1alpha1",
        "kind": "EgressTarget",
        "metadata": {"name": "wikipedia"},
        "spec": {
            "serviceEntry": yaml.safe_load(output(EGRESSCTL, "render", "wikipedia"))["spec"],
            "probes": [{"name": f"p{index}", "url": url} for index, url in enumerate(_urls(count))],
        },
    }


def among_others(bench: Bench) -> list[Figure]:
    """(c) Our commands among a thousand entries of other people, against the same without, and against scripts there.

    One dump of that sidecar takes kubectl longer than the whole of `verify` without the others, and its following a
    deletion some seconds: that is the mesh's time, which a script has to spend as well.
    """
    alone = _among(bench)
    with crowd(bench):
        crowded = _among(bench)
        memory = max(bench.largest(*argv) for argv in (("create", "wikipedia"), ("verify",), ("cleanup",), ("list",)))

    def times(name: str, less: str = "") -> float:
        own, others = (median(found[name]) - (median(found[less]) if less else 0) for found in (alone, crowded))
        return others / own

    return [
        Figure(f"egressctl list among {OTHERS} entries / alone", times("list"), 2.0, "x"),
        Figure(f"egressctl cleanup --no-wait among {OTHERS} entries / alone", times("cleanup --no-wait"), 2.0, "x"),
        Figure(f"egressctl verify among {OTHERS} entries / alone", times("verify"), None, "x"),
        Figure("  the same, each less one dump by kubectl", times("verify", less="dump"), 2.0, "x"),
        Figure("  / a script that asks the same, among them", ratio(crowded["verify"], crowded["script"]), 1.0, "x"),
        Figure(f"egressctl cleanup among {OTHERS} entries / alone", times("cleanup"), None, "x"),
        Figure("  / a script that asks the same, among them", ratio(crowded["cleanup"], crowded["cleanup script"]), 1.0, "x"),
        Figure("  the most memory of any", memory, 250.0, "MB"),
    ]


def _among(bench: Bench) -> dict[str, list[float]]:
    """Measure each command in turn; what makes the entry anew for a cleanup is not measured."""
    entry, create = bench.entry(), bench.egressctl("create", "wikipedia")
    create()
    looking = bench.compare(
        bench.rounds,
        verify=bench.egressctl("verify", "wikipedia"),
        script=bench.shell(SAME_AS_VERIFY),
        dump=bench.shell(ONE_DUMP),
        list=bench.egressctl("list"),
    )
    removing = {
        "cleanup": bench.egressctl("cleanup", "wikipedia"),
        "cleanup script": bench.shell(SAME_AS_CLEANUP, entry=entry),
        "cleanup --no-wait": bench.egressctl("cleanup", "wikipedia", "--no-wait"),
    }
    found: dict[str, list[float]] = {name: [] for name in removing}
    for _ in range(5):
        for name, call in removing.items():
            create()
            found[name].append(seconds(call))
    return looking | found


@contextmanager
def crowd(bench: Bench) -> Iterator[None]:
    """A thousand entries of five blocks each on port 443, which the sidecar has, for the time of the block."""
    blocks = (str(each) for each in ip_network("100.64.0.0/10").subnets(new_prefix=30))
    entries = [
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": {"name": f"other-{index}", "namespace": "other"},
            "spec": {"hosts": [f"other-{index}.example"], "addresses": list(islice(blocks, BLOCKS)), **SPEC},
        }
        for index in range(OTHERS)
    ]
    for each in entries:
        bench.real.post(f"{ENTRIES}/other/serviceentries", each)
    bench.real.until(lambda: hosts(bench, OTHER) == OTHERS, "the sidecar's configuration of a thousand entries")
    yield
    bench.empty("other")
    bench.real.until(lambda: hosts(bench, OTHER) == 0, "the end of the thousand entries")


def hosts(bench: Bench, pattern: str) -> int:
    """Return for how many hosts of this form the sidecar has an Envoy cluster."""
    ask = ["kubectl", "exec", "sleep", "-c", "istio-proxy", "--", "pilot-agent", "request", "GET", "clusters?format=json"]
    said = subprocess.run(ask, env=bench.environment, capture_output=True, text=True, check=False).stdout
    return len(set(re.findall(pattern, said)))


def many_targets(bench: Bench) -> list[Figure]:
    """(d) Two hundred targets from one file, against kubectl apply of the same manifests."""
    documents: list[dict[str, Any]] = [
        {
            "apiVersion": "egressctl.dev/v1alpha1",
            "kind": "EgressTarget",
            "metadata": {"name": f"target-{index}"},
            "spec": {
                "serviceEntry": {"hosts": [f"target-{index}.example"], "addresses": [f"100.80.{index}.0/24"], **SPEC},
                "probes": [{"name": "x", "url": f"https://target-{index}.example"}],
            },
        }
        for index in range(TARGETS)
    ]
    targets, manifests = bench.write("targets.yaml", documents), bench.folder / "manifests.yaml"
    manifests.write_text(output(EGRESSCTL, "render", "-f", str(targets)))
    calls: dict[str, Callable[[], None]] = {
        "create": bench.egressctl("create", "-f", str(targets), "--no-wait"),
        "apply": bench.shell("kubectl apply -f {file}", file=manifests),
        "waiting": bench.egressctl("create", "-f", str(targets)),
    }
    found: dict[str, list[float]] = {name: [] for name in calls}
    for index in range(6):
        for name, call in calls.items():
            taken = seconds(call)
            bench.empty("default")
            if index:
                found[name].append(taken)
    return [
        Figure(f"egressctl create -f, {TARGETS} targets, --no-wait", median(found["create"]), None, "s"),
        Figure("  / kubectl apply -f of the same manifests", ratio(found["create"], found["apply"]), 1.0, "x"),
        Figure("  the same and waiting for the sidecar", median(found["waiting"]), None, "s"),
    ]


def every_entry(bench: Bench) -> list[Figure]:
    """(e) The same as on the lab, whose figure has the limit: here an exec of kubectl takes two thirds of its time there."""
    return others.every_entry(bench.environment, bench.folder, "a real API server", None)


PARTS = {
    "a the task": the_task,
    "b many probes": many_probes,
    "c among others": among_others,
    "d many targets": many_targets,
    "e every entry": every_entry,
}


def measured(rounds: int, only: str) -> list[Figure]:
    """Start the control plane and the data plane, and measure the parts whose letters are wanted."""
    parts = [part for name, part in PARTS.items() if name[0] in only]
    found = binaries.find()
    missing = found if isinstance(found, str) else "" if shutil.which("kubectl") else "kubectl is not on this machine"
    if not parts:
        return []
    if isinstance(found, str) or missing:
        print(f"left out: all on a real kube-apiserver: {missing}")
        return []
    home = Path(os.environ["EGRESSCTL_LAB_HOME"])
    with RealCluster(home / "real", found) as running, running.data_plane(f"bench-{os.getpid()}"):
        bench = Bench(running, home, rounds)
        return [figure for part in parts for figure in part(bench)]
