"""A random walk: whatever stands around, the cause of a URL names an object that explains what Envoy did.

To mend that object, or to take it away, changes what is said; and where the policy alone is blamed, to mend no object that is
there opens it. Random entries, Sidecars, VirtualServices, DestinationRules and policies, fed by a real istiod.
EGRESSCTL_TEST_SEED gives others, EGRESSCTL_TEST_BLAMES more connections.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

import pytest

from cli import put_right
from egressctl.lab.dataplane.names import ALLOW_ANY, REGISTRY_ONLY
from egressctl.model.probe import Probe, Verdict
from egressctl.model.result import ProbeResult
from examples import EVERYTHING
from integration.verify.urls import (
    OTHER,
    VERSION,
    Asker,
    Manifest,
    an_entry,
    an_object,
    delete,
    path_of,
    second_namespace,
)
from labs import Lab

PLACES = ("istiod",)
CONNECTIONS = int(os.environ.get("EGRESSCTL_TEST_BLAMES") or (48 if EVERYTHING else 24))
SEED = "EGRESSCTL_TEST_SEED"
AT_ONCE = 4
"""So many URLs are asked in one world."""
MOST_MENDS = 5
URLS = (
    "https://www.wikipedia.org",
    "https://en.wikipedia.org",
    "https://outside.example",
    "http://www.wikipedia.org",
    "http://outside.example",
    "https://www.wikipedia.org:8443",
)
HOSTS = ("www.wikipedia.org", "en.wikipedia.org", "*.wikipedia.org", "outside.example")
ROOT = "istio-system"
ADDRESSES = {"208.80.154.224": "208.80.154.224/27", "203.0.113.10": "203.0.113.0/24"}

# Worlds


def a_world(chance: random.Random) -> list[Manifest]:
    """Return what may stand around: what istiod's admission refuses of it is left out when it is made."""
    world = [_entry(chance, f"entry-{number}") for number in range(chance.randint(1, 4))]
    if chance.random() < 0.55:
        world.append(_sidecar(chance, *chance.choice([("little", "default"), ("little", "default"), ("default", ROOT)])))
    if chance.random() < 0.35:
        world.append(_virtual_service(chance))
    if chance.random() < 0.2:
        tls = chance.choice([{"mode": "SIMPLE"}, {"mode": "DISABLE"}])
        world.append(an_object("DestinationRule", "rule", host=chance.choice(HOSTS), trafficPolicy={"tls": tls}))
    return world


def _entry(chance: random.Random, name: str) -> Manifest:
    port = (chance.choice([443, 443, 443, 80, 8443]), chance.choice(["TLS", "HTTPS", "TCP", "HTTP"]))
    resolution = chance.choice(["DNS", "NONE", "NONE", "STATIC"])
    spec: dict[str, Any] = {"resolution": resolution}
    if resolution == "STATIC":
        spec["endpoints"] = [{"address": chance.choice(list(ADDRESSES))}]
    blocks = [*ADDRESSES, "192.0.2.1"] if resolution == "DNS" else [*ADDRESSES.values(), "208.80.154.224", "192.0.2.0/24"]
    if chance.random() < 0.5:
        spec["addresses"] = [chance.choice(blocks)]
    if exported := chance.choice([[], [], ["."], ["*"], ["~"], [OTHER]]):
        spec["exportTo"] = exported
    hosts = chance.sample(HOSTS, chance.choice([1, 1, 2]))
    if chance.random() < 0.2:
        second = {"number": chance.choice([80, 8443, 9443]), "name": "second", "protocol": chance.choice(["TLS", "TCP", "HTTP"])}
        spec["ports"] = [{"number": port[0], "name": "port", "protocol": port[1]}, second]
    return an_entry(name, hosts, port, namespace=chance.choice(["default", "default", OTHER]), **spec)


def _sidecar(chance: random.Random, name: str, namespace: str) -> Manifest:
    hosts = ["./*", "*/*", f"{OTHER}/*", "istio-system/*", "./www.wikipedia.org", "*/*.wikipedia.org", "*/outside.example"]
    excluded = [f"~{OTHER}/*", "~default/*", "~*/www.wikipedia.org", "~/www.wikipedia.org"]
    egress: dict[str, Any] = {"hosts": chance.sample(hosts, chance.choice([1, 1, 2]))}
    if chance.random() < 0.25:
        egress["hosts"].append(chance.choice(excluded))
    listeners: list[dict[str, Any]] = [egress]
    if chance.random() < 0.3:
        number = chance.choice([443, 80, 9080])
        own = {"number": number, "protocol": chance.choice(["TLS", "HTTP", "TCP"]), "name": "own"}
        listeners = [{**egress, "port": own}, *([{"hosts": [chance.choice(hosts)]}] if chance.random() < 0.5 else [])]
    policy: dict[str, Any] = chance.choice([{}, {}, {"outboundTrafficPolicy": {"mode": ALLOW_ANY}}])
    return an_object("Sidecar", name, namespace, egress=listeners, **policy)


def _virtual_service(chance: random.Random) -> Manifest:
    host = chance.choice(HOSTS)
    to = chance.choice([host.replace("*", "www"), chance.choice(HOSTS[:2]), "nowhere.example"])
    routes = [{"destination": {"host": to, "port": {"number": chance.choice([443, 80])}}}]
    match chance.choice(["http", "http", "tls", "tcp"]):
        case "http":
            matching: dict[str, Any] = chance.choice([{}, {"match": [{"uri": {"prefix": "/api/"}}]}, {"match": [{"port": 8080}]}])
            spec: dict[str, Any] = {"http": [{**matching, "route": routes}]}
        case "tls":
            names = [chance.choice([host, host, HOSTS[1]])]
            spec = {"tls": [{"match": [{"port": chance.choice([443, 443, 8443]), "sniHosts": names}], "route": routes}]}
        case _:
            matching = chance.choice([{}, {"match": [{"port": chance.choice([443, 9999])}]}])
            spec = {"tcp": [{**matching, "route": routes}]}
    return an_object("VirtualService", "route", chance.choice(["default", "default", OTHER]), hosts=[host], **spec)


# Mends: what of the object that a cause names has to be changed, and how


def _fitting(spec: dict[str, Any], probe: Probe) -> str:
    if not _is_among(probe.host, spec["hosts"]):
        return "TCP"  # it is meant by its address
    return "TLS" if probe.speech.tls else "HTTP"


def _mend_port(spec: dict[str, Any], probe: Probe, ip: str) -> None:
    spec["ports"].append({"number": probe.port, "name": f"added-{probe.port}", "protocol": _fitting(spec, probe)})


def _mend_protocol(spec: dict[str, Any], probe: Probe, ip: str) -> None:
    for port in spec["ports"]:
        port["protocol"] = _fitting(spec, probe) if port["number"] == probe.port else port["protocol"]


def _mend_hosts(spec: dict[str, Any], probe: Probe, ip: str) -> None:
    spec["hosts"].append(probe.host)


def _mend_addresses(spec: dict[str, Any], probe: Probe, ip: str) -> None:
    spec["addresses"] = [*spec.get("addresses", ()), ip]


def _mend_export(spec: dict[str, Any], probe: Probe, ip: str) -> None:
    spec.pop("exportTo", None)


def _mend_sidecar(spec: dict[str, Any], probe: Probe, ip: str) -> None:
    spec["egress"] = [{"hosts": ["*/*"]}]


MENDS: dict[str, Callable[[dict[str, Any], Probe, str], None] | None] = {
    "port-not-listed": _mend_port,
    "protocol-mismatch": _mend_protocol,
    "host-not-listed": _mend_hosts,
    "address-not-listed": _mend_addresses,
    "not-exported": _mend_export,
    "hidden-by-sidecar": _mend_sidecar,
    # The object is taken away.
    "rival-entry": None,
    "rerouted": None,
    "rejected-by-proxy": None,
    "no-endpoints": None,
}
"""How to mend, by the cause's code, the object that its next command shows."""
NOT_PUSHED = "not-propagated"
"""The control plane's own doing: what sends everything again mends it."""
TAKEN_AWAY = [code for code, how in MENDS.items() if how is None]
POLICY = ("blackhole", "passthrough")
BEYOND = {
    "connect-refused",
    "connect-timeout",
    "http-status",
    "timeout",
    "tls-certificate",
    "tls-handshake",
    "reset",
    "evidence-lost",
    "name-resolution",
}
"""Causes that name no object of the mesh."""


class Walk:
    """One world in the lab after the other."""

    def __init__(self, lab: Lab, seed: int) -> None:
        self.lab, self.asker, self.chance = lab, Asker(lab), random.Random(seed)
        self.faults: list[str] = []
        self.policy = REGISTRY_ONLY
        self.asked = self.blamed = 0

    def step(self) -> None:
        world = [each for each in a_world(self.chance) if self._make(each)]
        self._settle()
        urls = self.chance.sample(URLS, AT_ONCE)
        try:
            results = self.asker.verify(*urls)
            self.asked += len(urls)
            seen = set[tuple[str, str]]()
            for result in results:
                code = _code(result)
                if result.verdict is Verdict.OPEN or code in BEYOND or (code, _hint(result)) in seen:
                    continue
                seen.add((code, _hint(result)))
                fault = self._check_policy(result, world) if code in POLICY else self._check_object(result, world)
                self.blamed += 1
                if fault:
                    shown = json.dumps([{**each["metadata"], "kind": each["kind"], **each["spec"]} for each in world])
                    self.faults.append(f"{result.probe.url}: {fault}\n  first: {_told(result)}\n  world: {shown}")
        finally:
            for each in world:
                delete(self.lab, each)
            self._settle()

    def _check_object(self, result: ProbeResult, world: Sequence[Manifest]) -> str:
        """Mend what is blamed, until nothing of the mesh is; say what went wrong, "" for nothing."""
        told, now, before = [_told(result)], result, ""
        try:
            for _ in range(MOST_MENDS):
                code = _code(now)
                if now.verdict is Verdict.OPEN or code in BEYOND:
                    return ""
                if code in POLICY and before in TAKEN_AWAY:
                    return ""  # what is left is what there would be without that object
                if code in POLICY:
                    return f"mended, it is the policy's: {' -> '.join(told)}"
                if code == NOT_PUSHED:
                    self._push()  # now and then istiod leaves an Envoy cluster out, until it sends everything again
                elif code not in MENDS:
                    return f"{code} is nothing that can be mended: {' -> '.join(told)}"
                elif fault := self._mend(now, world):
                    return fault
                self._settle()
                [now] = self.asker.verify(result.probe.url)
                before = code
                told.append(_told(now))
                if told[-1] == told[-2]:
                    return f"to mend it changed nothing: {told[-1]}"
            return f"mended too often: {' -> '.join(told)}"
        finally:
            self._restore(world)

    def _check_policy(self, result: ProbeResult, world: Sequence[Manifest]) -> str:
        """Try to open it by one object that is there; say which did, "" where none does."""
        ip = result.outcome.remote_ip if result.outcome else ""
        for each in world:
            if each["kind"] != "ServiceEntry":
                delete(self.lab, each)
            elif _lists(each["spec"], result.probe, ip):
                changed = deepcopy(each)
                spec = changed["spec"]
                _mend_export(spec, result.probe, ip)
                if not any(port["number"] == result.probe.port for port in spec["ports"]):
                    _mend_port(spec, result.probe, ip)
                _mend_protocol(spec, result.probe, ip)
                if not self._put(changed):
                    continue
            else:
                continue
            self._settle()
            [now] = self.asker.verify(result.probe.url)
            self._restore(world)
            if now.verdict is Verdict.OPEN:
                return f"blamed on the policy, and opened by {each['kind']} {each['metadata']['name']}"
        return ""

    def _push(self) -> None:
        assert self.lab.fed_by
        self.lab.fed_by.push_everything()
        if self.policy != REGISTRY_ONLY:
            self.lab.fed_by.set_policy(self.policy)
        self._settle()

    def _mend(self, result: ProbeResult, world: Sequence[Manifest]) -> str:
        hint, probe, how = _hint(result), result.probe, MENDS[_code(result)]
        found = re.search(r"kubectl get (\S+) -n (\S+) (\S+)", hint)
        shown = found.groups() if found else ()
        for each in world:
            metadata = each["metadata"]
            if (each["kind"].lower(), metadata["namespace"], metadata["name"]) == shown:
                if how is None:
                    delete(self.lab, each)
                    return ""
                _, changed = self.lab.api("GET", path_of(each))
                how(changed["spec"], probe, result.outcome.remote_ip if result.outcome else "")
                return "" if self._put(changed) else f"{hint}: to mend it is refused"
        return f"its next command names no object that is there: {_told(result)}"

    def _make(self, manifest: Manifest) -> bool:
        """Make an object; False for one that Kubernetes or istiod refuses."""
        status, answer = self.lab.api("POST", path_of(manifest, named=False), manifest)
        assert status in (201, 400, 409, 422), answer
        return status == 201

    def _put(self, manifest: Manifest) -> bool:
        _, there = self.lab.api("GET", path_of(manifest))
        body = {**manifest, "apiVersion": VERSION, "metadata": there["metadata"]}
        status, answer = self.lab.api("PUT", path_of(manifest), body)
        assert status in (200, 400, 409, 422), answer
        return status == 200

    def _restore(self, world: Sequence[Manifest]) -> None:
        # An age is a part of the world: what is as it was is left alone.
        for each in world:
            status, there = self.lab.api("GET", path_of(each))
            if status != 200:
                self._make(each)
            elif there["spec"] != each["spec"]:
                self._put(each)
        self._settle()

    def _settle(self) -> None:
        """Wait until the sidecar has stood still for longer than istiod waits before it sends."""
        seen, since, ends = "", time.monotonic(), time.monotonic() + 30
        while time.monotonic() < ends:
            now = self._in_force()
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > 0.7:
                return
            time.sleep(0.1)

    def _in_force(self) -> str:
        dump = [self.lab.admin(f"config_dump?resource={kind}") for kind in ("dynamic_listeners", "dynamic_route_configs")]
        active = [each.get("active_state", each) for part in dump for each in part.get("configs", ())]
        names = {line.partition("::")[0] for line in self.lab.admin_text("clusters").splitlines()}
        return re.sub(r'"(last_updated|version_info)": "[^"]*"', "", json.dumps(active)) + json.dumps(sorted(names))


def _lists(spec: dict[str, Any], probe: Probe, ip: str) -> bool:
    """Say whether an entry names the host, and no other addresses, or lists the address."""
    listed = bool({ip, ADDRESSES.get(ip, ip)} & {*spec.get("addresses", ())})
    return listed or (_is_among(probe.host, spec["hosts"]) and not spec.get("addresses"))


def _is_among(name: str, hosts: Sequence[str]) -> bool:
    return any(name == host or (host[0] == "*" and name.endswith(host[1:])) for host in hosts)


def _code(result: ProbeResult) -> str:
    return str(result.cause.code) if result.cause else ""


def _hint(result: ProbeResult) -> str:
    return result.cause.hint if result.cause else ""


def _told(result: ProbeResult) -> str:
    cause = result.cause
    return f"{result.verdict}/{cause.code}: {cause.message} [{cause.hint}]" if cause else str(result.verdict)


@pytest.fixture
def walk(lab: Lab) -> Iterator[Walk]:
    second_namespace(lab)
    seed = int(os.environ.get(SEED) or 13)
    yield Walk(lab, seed)
    lab.set_policy(REGISTRY_ONLY)
    put_right(lab)


def test_what_is_blamed_explains_what_envoy_did(walk: Walk) -> None:
    while walk.asked < CONNECTIONS:
        if walk.chance.random() < 0.15:
            walk.policy = walk.chance.choice([ALLOW_ANY, REGISTRY_ONLY])
            walk.lab.set_policy(walk.policy)
        walk.step()
    print(f"{walk.asked} asked, {walk.blamed} blamed, {len(walk.faults)} faults")
    assert not walk.faults, "\n\n".join(walk.faults)
    assert walk.blamed
