"""Compare egressctl on a real kube-apiserver with what people type today.

The probes go through the lab's sidecar, and exec through KWOK's kubelet.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_network
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import giant
import others
import yaml
from figures import EGRESSCTL, Failed, Figure, Results, interleaved, output, ratios, run, tell, tell_of

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))

from cluster import binaries  # noqa: E402
from cluster.cluster import RealCluster  # noqa: E402
from cluster.istiod import Istiod  # noqa: E402
from egressctl.lab.state import locate  # noqa: E402
from labs import Lab  # noqa: E402

MESH = "m the task with a real istiod"
OURS, LISTENERS = "outbound|443||wikipedia.org", "config_dump?resource=dynamic_listeners&mask=name,active_state"
MANY, OTHERS, BLOCKS, TARGETS = 100, 1000, 5, 200
URL = "https://www.wikipedia.org"
OTHER = r"other-\d+\.example"
ENTRIES = "/apis/networking.istio.io/v1/namespaces"

IN_A_ROW = int(os.environ.get("EGRESSCTL_BENCH_IN_A_ROW", "3"))
FASTER_THAN_THE_MESH = (
    ("create", "--no-wait"), ("cleanup",), ("create",), ("cleanup", "--no-wait"), ("run",), ("create",), ("cleanup",)
)  # fmt: skip
"""Each changes what the one before has not brought to the sidecar yet: what they say at their end is to be true all the same."""

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

    def egressctl(self, *argv: str) -> Callable[[], float]:
        return lambda: self.do([EGRESSCTL, *argv])

    def shell(self, script: str, **words: object) -> Callable[[], float]:
        return lambda: self.do(["sh", "-c", script.format(**words)])

    def do(self, argv: Sequence[str]) -> float:
        return run(argv, self.environment)

    def write(self, name: str, documents: Sequence[dict[str, Any]]) -> Path:
        path = self.folder / name
        path.write_text(yaml.safe_dump_all(documents, sort_keys=False))
        return path

    def entry(self) -> Path:
        """Write the catalogue's wikipedia as a manifest for kubectl."""
        path = self.folder / "wikipedia.yaml"
        path.write_text(output([EGRESSCTL, "render", "wikipedia"]))
        return path

    def empty(self, namespace: str) -> None:
        """Delete a namespace's ServiceEntries."""
        assert self.real.api("DELETE", f"{ENTRIES}/{namespace}/serviceentries")[0] == 200


def the_task(bench: Bench) -> Iterator[Figure]:
    """(a) The whole task against the document's steps, and against a script that asks what `run` asks."""
    entry = bench.entry()
    calls = {
        "run": bench.egressctl("run", "wikipedia"),
        "document": bench.shell(DOCUMENT, entry=entry),
        "same": bench.shell(SAME_AS_RUN, entry=entry),
    }
    found = interleaved(calls, bench.rounds)
    yield Figure("egressctl run wikipedia", found["run"], None, "s")
    yield Figure("  / the document's steps in a script, without proof", ratios(found["run"], found["document"]), 1.1, "x")
    yield Figure("  / a script that asks the same questions", ratios(found["run"], found["same"]), 0.8, "x")


def many_probes(bench: Bench) -> Iterator[Figure]:
    """(b) Probes with their proof, against probes without."""
    bench.do([EGRESSCTL, "create", "wikipedia"])
    files = {count: bench.write(f"{count}.yaml", [_probes(count)]) for count in (MANY, 10 * MANY)}
    loop = f"for i in $(seq {MANY}); do kubectl exec sleep -c sleep -- curl -s -o /dev/null '{URL}/status/200?'$i; done"
    outputs = [word for url in _urls(10 * MANY) for word in ("-o", "/dev/null", url)]
    bare = ["kubectl", "exec", "sleep", "-c", "sleep", "--", "curl", "-s", "-w", "%{http_code} ", "--parallel", *outputs]
    few, many = (bench.egressctl("verify", "-f", str(files[count])) for count in (MANY, 10 * MANY))
    hundred = interleaved({"verify": few, "loop": bench.shell(loop)}, 3)
    yield Figure(f"egressctl verify, {MANY} probes with their proof", hundred["verify"], None, "s")
    yield Figure("  / a loop of kubectl exec ... curl", ratios(hundred["verify"], hundred["loop"]), 0.1, "x")
    thousand = interleaved({"verify": many, "bare": lambda: bench.do(bare)}, bench.rounds)
    yield Figure(f"egressctl verify, {10 * MANY} probes with their proof", thousand["verify"], None, "s")
    yield Figure("  / bare curl --parallel in the pod", ratios(thousand["verify"], thousand["bare"]), 3.5, "x")
    bench.do([EGRESSCTL, "cleanup"])


def _urls(count: int) -> list[str]:
    return [f"{URL}/status/200?{index}" for index in range(count)]


def _probes(count: int) -> dict[str, Any]:
    return {
        "apiVersion": "egressctl.dev/v1alpha1",
        "kind": "EgressTarget",
        "metadata": {"name": "wikipedia"},
        "spec": {
            "serviceEntry": yaml.safe_load(output([EGRESSCTL, "render", "wikipedia"]))["spec"],
            "probes": [{"name": f"p{index}", "url": url} for index, url in enumerate(_urls(count))],
        },
    }


def among_others(bench: Bench) -> Iterator[Figure]:
    """(c) Our commands among a thousand entries of other people, against the same without, and against scripts there.

    One dump of that sidecar takes kubectl longer than the whole of `verify` without the others, and its following a
    deletion some seconds: that is the mesh's time, which a script has to spend as well.
    """
    alone = _among(bench)
    with crowd(bench):
        crowded = _among(bench)

        def times(name: str, less: str = "") -> list[float]:
            own, others = (median(found[name]) - (median(found[less]) if less else 0) for found in (alone, crowded))
            return [others / own]

        verify, cleanup = (ratios(crowded[name], crowded[f"{name} script"]) for name in ("verify", "cleanup"))
        yield Figure(f"egressctl list among {OTHERS} entries / alone", times("list"), 2.0, "x")
        yield Figure(f"egressctl cleanup --no-wait among {OTHERS} entries / alone", times("cleanup --no-wait"), 2.0, "x")
        yield Figure(f"egressctl verify among {OTHERS} entries / alone", times("verify"), None, "x")
        yield Figure("  the same, each less one dump by kubectl", times("verify", less="dump"), 2.0, "x")
        yield Figure("  / a script that asks the same, among them", verify, 1.0, "x")
        yield Figure(f"egressctl cleanup among {OTHERS} entries / alone", times("cleanup"), None, "x")
        yield Figure("  / a script that asks the same, among them", cleanup, 1.0, "x")
        failed = sum(_fails(bench, *each) for _ in range(IN_A_ROW) for each in FASTER_THAN_THE_MESH)
        told = f"  of {IN_A_ROW * len(FASTER_THAN_THE_MESH)} commands faster than the sidecar follows, failed"
        yield Figure(told, [failed], 0.0, "")
        commands = (("create", "wikipedia"), ("verify",), ("cleanup",), ("list",))
        yield Figure("  the most memory of any", [max(bench.do([EGRESSCTL, *each]) for each in commands)], 250.0, "MB")


def _fails(bench: Bench, *argv: str) -> bool:
    """Say whether a command fails, and print what it said."""
    try:
        bench.do([EGRESSCTL, *argv, "wikipedia"])
    except Failed as failure:
        tell_of(failure)
        return True
    return False


def _among(bench: Bench) -> dict[str, list[float]]:
    """Measure each command in turn; what makes the entry anew for a cleanup is not measured."""
    entry, create = bench.entry(), bench.egressctl("create", "wikipedia")
    create()
    looking = {
        "verify": bench.egressctl("verify", "wikipedia"),
        "verify script": bench.shell(SAME_AS_VERIFY),
        "dump": bench.shell(ONE_DUMP),
        "list": bench.egressctl("list"),
    }
    removing = {
        "cleanup": bench.egressctl("cleanup", "wikipedia"),
        "cleanup script": bench.shell(SAME_AS_CLEANUP, entry=entry),
        "cleanup --no-wait": bench.egressctl("cleanup", "wikipedia", "--no-wait"),
    }

    def until_gone() -> None:
        """What is not waited for would be in the sidecar still when the next is made, and be taken for it."""
        bench.real.until(lambda: hosts(bench, r"wikipedia\.org") == 0, "the end of the entry in the sidecar")

    return interleaved(looking, bench.rounds) | interleaved(removing, 5, before=create, after=until_gone)


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
    try:
        yield
    finally:
        bench.empty("other")
        bench.real.until(lambda: hosts(bench, OTHER) == 0, "the end of the thousand entries")


def hosts(bench: Bench, pattern: str) -> int:
    """Return for how many hosts of this form the sidecar has an Envoy cluster."""
    ask = ["kubectl", "exec", "sleep", "-c", "istio-proxy", "--", "pilot-agent", "request", "GET", "clusters?format=json"]
    return len(set(re.findall(pattern, output(ask, bench.environment))))


def many_targets(bench: Bench) -> Iterator[Figure]:
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
    manifests.write_text(output([EGRESSCTL, "render", "-f", str(targets)]))
    calls = {
        "create": bench.egressctl("create", "-f", str(targets), "--no-wait"),
        "apply": bench.shell("kubectl apply -f {file}", file=manifests),
        "waiting": bench.egressctl("create", "-f", str(targets)),
    }
    found = interleaved(calls, 5, after=lambda: bench.empty("default"))
    yield Figure(f"egressctl create -f, {TARGETS} targets, --no-wait", found["create"], None, "s")
    yield Figure("  / kubectl apply -f of the same manifests", ratios(found["create"], found["apply"]), 1.0, "x")
    yield Figure("  the same and waiting for the sidecar", found["waiting"], None, "s")


def every_entry(bench: Bench) -> Iterator[Figure]:
    """(e) The same as on the lab, whose figure has the limit: here an exec of kubectl takes two thirds of its time there."""
    return others.every_entry(bench.environment, bench.folder, "a real API server", None)


def a_giant(bench: Bench) -> Iterator[Figure]:
    """(g) Every entry of a mesh of two thousand."""
    return giant.a_giant(bench.real, bench.environment, bench.folder, partial(hosts, bench))


def the_task_with_istiod(bench: Bench, lab: Lab) -> Iterator[Figure]:
    """(m) The task where a real istiod feeds the sidecar, less its two pushes: no tool can be faster than these."""
    entry = bench.entry()

    def follow(verb: str, *, there: bool) -> Callable[[], float]:
        def once() -> float:
            bench.do(["kubectl", verb, "-f", str(entry)])
            began = time.perf_counter()
            while (OURS in lab.admin_text(LISTENERS)) is not there:
                time.sleep(0.002)
            return time.perf_counter() - began

        return once

    pushes: dict[str, list[float]] = {"apply": [], "delete": []}

    def both() -> None:
        pushes["apply"].append(follow("apply", there=True)())
        pushes["delete"].append(follow("delete", there=False)())

    def until_gone() -> None:
        bench.real.until(lambda: OURS not in lab.admin_text(LISTENERS), "the end of the entry in the sidecar")

    calls = {"run": bench.egressctl("run", "wikipedia"), "document": bench.shell(DOCUMENT, entry=entry), "pushes": both}
    found = interleaved(calls, bench.rounds, after=until_gone)
    waits = [sum(each) for each in zip(pushes["apply"], pushes["delete"], strict=True)][-len(found["run"]) :]
    less = [each - wait for each, wait in zip(found["run"], waits, strict=True)]
    yield Figure("egressctl run wikipedia, with a real istiod", found["run"], None, "s")
    yield Figure("  istiod's two pushes", waits, None, "s")
    yield Figure("  the rest / the document's steps in a script, without proof", ratios(less, found["document"]), 1.2, "x")


PARTS = {
    "a the task": the_task,
    "b many probes": many_probes,
    "c among others": among_others,
    "d many targets": many_targets,
    "e every entry": every_entry,
    "g a giant": a_giant,
}


def measure(results: Results, rounds: int, only: str) -> None:
    """Start the control plane and the data plane, and measure the parts whose letters are wanted."""
    parts = {name: part for name, part in PARTS.items() if name[0] in only}
    found = binaries.find()
    missing = found if isinstance(found, str) else "" if shutil.which("kubectl") else "kubectl is not on this machine"
    if not parts and "m" not in only:
        return
    if isinstance(found, str) or missing:
        tell(f"left out: all on a real kube-apiserver: {missing}")
        return
    home = Path(os.environ["EGRESSCTL_LAB_HOME"])
    if "m" in only:
        name = f"bench-{os.getpid()}-mesh"
        with (
            results.part(MESH),
            RealCluster(home / "mesh", found) as real,
            Istiod(real, locate(name)) as istiod,
            real.data_plane(name, istiod) as lab,
        ):
            results.take(MESH, partial(the_task_with_istiod, Bench(real, home, rounds), lab))
    with (
        results.part("all on a real kube-apiserver"),
        RealCluster(home / "real", found) as running,
        running.data_plane(f"bench-{os.getpid()}"),
    ):
        bench = Bench(running, home, rounds)
        for name, part in parts.items():
            with results.part(name):
                bench.empty("default")
            results.take(name, partial(part, bench))
