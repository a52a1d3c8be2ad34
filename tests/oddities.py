"""ServiceEntries at random, most of them nearly right: what tests hold against a real API server, and against any crash."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

Manifest = dict[str, Any]

HOSTS = ("wikipedia.org", "www.example.com", "db.internal", "a-b.c.d")
ODD_HOSTS = (
    *("", "*", "*.example.com", "*x.com", "foo*.com", "UPPER.com", "a_b.com", "-x.com", "exa mple.com", "wikipedia.org."),
    *("*.*.com", "x" * 64 + ".com", "1.2.3.4", "123", "a.", ".", "*.", "**", "*-x.com", "é.com", "a" * 256, "https://a.b"),
    *("a.b:443", "a.99999999999999999999", "a\n", "::1", "a..b", "*.1"),
)
ADDRESSES = ("10.0.0.1", "91.198.174.192/27", "203.0.113.0/24", "2620:0:861:ed1a::1", "2001:db8::/32", "203.0.113.0")
ODD_ADDRESSES = (
    *("1.2.3.4/33", "300.1.1.1", "::ffff:1.2.3.4", "", "1.2.3", " 10.0.0.1", "host.name", "0.0.0.0/0", "01.2.3.4", "1.2.3.4/"),
    *("1.2.3.4/01", "1.2.3.4/+1", "/24", "1/2/3", "fe80::1%eth0", "fe80::1%eth0/64", "::/129", "1.2.3.4/24/8", "x" * 65),
    *("é" * 64, "::ffff:1.2.3.4/96", "1::2::3", "[::1]", "1.2.3.4:80"),
)
RESOLUTIONS = ("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS")
PROTOCOLS = ("TCP", "tcp", "GRPC", "MySQL", "TLS", "MONGO", "HTTP", "HTTPS", "HTTP2", "UDP", "FOO", "", "GRPC-Web", "HTTP_PROXY")
NUMBERS = (80, 443, 8443, 5432, 27017)
ODD_NUMBERS = (0, -1, 65535, 65536, 4294967296, 443.0, 80)
SELECTORS: tuple[Manifest, ...] = (
    *({}, {"labels": {}}, {"labels": {"app": "x"}}, {"labels": {"app": "*"}}, {"labels": {"*": "x"}}, {"labels": {"": "x"}}),
    *({"labels": {"app": "x" * 64}}, {"labels": {"a": None}}),
)
KEYS = ("app", "a b", "a/b", "A.b/c", "", "/x", "a" * 64, "x/", "a/b/c", "é", "istio.io/use-waypoint")
JUNK: tuple[Any, ...] = (
    *(None, True, 0, 1, -1, 1.0, 1.5, 10**20, "", "x", "é" * 70, [], {}, ["x"], {"a": 1}, [None], [1], [[]], [{}], {"a": None}),
    *("3", 65536, 443.0, {"a": {"b": [1]}}),
)


def manifest(random: Random) -> Manifest:
    """Return one ServiceEntry: half of them with odd values only, the others with mistakes anywhere."""
    entry: Manifest = {
        "apiVersion": f"networking.istio.io/{random.choice(('v1', 'v1beta1', 'v1alpha3'))}",
        "kind": "ServiceEntry",
        "metadata": _metadata(random) if random.random() < 0.3 else {"name": "odd", "namespace": "default"},
        "spec": _spec(random),
    }
    if random.random() < 0.03:
        entry["status"] = random.choice(({}, None, "x", [], [{"a": 1}], {"foo": 1}, {"conditions": [{"foo": 1}]}))
    while random.random() < 0.35:
        entry["spec"] = _spoiled(random, entry["spec"])
    return entry


def side_by_side(random: Random) -> list[Manifest]:
    """Return a few sound ServiceEntries that share hosts, ports and namespaces, and differ in what istioctl's analyzers read."""
    return [_sound(random, f"entry{number}") for number in range(random.choice((1, 2, 2, 3)))]


def _sound(random: Random, name: str) -> Manifest:
    protocols = ("TCP", "tcp", "Tcp", "HTTP", "http", "TLS", "")
    numbers = random.sample((80, 443), random.choice((0, 1, 1, 2)))
    ports: list[Manifest] = [{"number": number, "name": f"p{number}"} for number in numbers]
    for port in ports:
        if random.random() < 0.8:
            port["protocol"] = random.choice(protocols)
    spec: Manifest = {"hosts": [random.choice(HOSTS)], "ports": ports}
    if random.random() < 0.8:
        spec["resolution"] = random.choice(("NONE", "STATIC", "DNS"))
    if random.random() < 0.4:
        spec["addresses"] = random.choice(([], ["10.0.0.1"], None))
    if random.random() < 0.5:
        spec["exportTo"] = random.choice(([], ["*"], ["."], ["default"], ["other"], ["default", "other"], [".", "ns"]))
    metadata: Manifest = {"name": name, "namespace": random.choice(("default", "other"))}
    if random.random() < 0.3:
        metadata["labels"] = {"networking.istio.io/enable-autoallocate-ip": random.choice(("true", "false", "False"))}
    entry = {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": metadata, "spec": spec}
    if random.random() < 0.3:
        entry["status"] = random.choice(({}, {"addresses": []}, {"addresses": [{"value": "240.240.0.1"}]}))
    return entry


def _of(random: Random, good: Sequence[Any], odd: Sequence[Any], chance: float = 0.1) -> Any:
    return random.choice(odd if random.random() < chance else good)


def _spec(random: Random) -> Manifest:
    spec: Manifest = {"hosts": [_of(random, HOSTS, ODD_HOSTS) for _ in range(_of(random, (1, 1, 2, 3), (0, 257), 0.05))]}
    if random.random() < 0.95:
        spec["ports"] = [_port(random, index) for index in range(random.choice((0, 1, 1, 2, 3)))]
    if random.random() < 0.65:
        spec["addresses"] = [_of(random, ADDRESSES, ODD_ADDRESSES) for _ in range(_of(random, (0, 1, 2, 3), (256, 257), 0.02))]
    if random.random() < 0.8:
        spec["resolution"] = _of(random, RESOLUTIONS, ("none", "PASSTHROUGH", "", 3), 0.06)
    if random.random() < 0.65:
        spec["location"] = _of(random, ("MESH_EXTERNAL", "MESH_INTERNAL"), ("OUTSIDE", "", 1), 0.05)
    if random.random() < 0.35:
        scopes = (".", "*", "ns1", "ns2", "~", "default", "Bad", "a_b", "", "a/b")
        spec["exportTo"] = [random.choice(scopes) for _ in range(random.choice((0, 1, 1, 2, 3)))]
    if random.random() < 0.3:
        spec["endpoints"] = [_endpoint(random) for _ in range(random.choice((0, 1, 1, 2)))]
    if random.random() < 0.12:
        spec["workloadSelector"] = random.choice(SELECTORS)
    if random.random() < 0.1:
        spec["subjectAltNames"] = random.choice((["spiffe://a"], [""], [], None))
    if random.random() < 0.06:
        spec[random.choice(("unknown", "adresses", "port", "Hosts"))] = ["x"]
    return spec


def _port(random: Random, index: int) -> Manifest:
    name = _of(random, ("tcp-port", "http", "tls"), ("Bad_Name", "p" * 70, "", "a.b", "-a", "A"))
    port = {"number": _of(random, NUMBERS, ODD_NUMBERS), "name": f"{name}{index}" if random.random() < 0.9 else name}
    if random.random() < 0.9:
        port["protocol"] = random.choice(PROTOCOLS)
    if random.random() < 0.1:
        port["targetPort"] = random.choice((8443, 0, 65536))
    return port


def _endpoint(random: Random) -> Manifest:
    odd = ("", "unix:///a/b", "unix://", "unix://@x", "unix://a", "unix:///a/", "*.a.b", "a_b", "fe80::1%x", "x" * 257, "1.2.3")
    endpoint: Manifest = {}
    if random.random() < 0.9:
        endpoint["address"] = _of(random, ("10.1.1.1", "db.example.com", "2001:db8::1"), odd, 0.2)
    if random.random() < 0.3:
        names = ("tcp-port0", "http0", "a_b", "a" * 63, "", "A")
        endpoint["ports"] = {
            random.choice(names): _of(random, (8443, 1), (0, 65536, None)) for _ in range(random.choice((0, 1, 2)))
        }
    if random.random() < 0.2:
        endpoint["weight"] = random.choice((0, 1, -1, 4294967296, 1.0, None))
    if random.random() < 0.2:
        endpoint["labels"] = {random.choice(KEYS): random.choice(("x", "", "a b", "x" * 70, None))}
    if random.random() < 0.15:
        endpoint["network"] = random.choice(("n", "", "x" * 2049))
    return endpoint


def _metadata(random: Random) -> Manifest:
    names = ("A", "a_b", "", "a" * 254, "a..b", "-a", None, 1)
    metadata: Manifest = {"name": _of(random, ("odd",), names, 0.2), "namespace": "default"}
    if random.random() < 0.3:
        metadata["labels"] = {random.choice(KEYS): random.choice(("x", "", "a b", "x" * 64, "none", None, 1, True))}
    if random.random() < 0.3:
        metadata["annotations"] = {random.choice(KEYS): random.choice(("x", "a b é\n", None, 1, False))}
    if random.random() < 0.1:
        metadata["generateName"] = random.choice(("a-", "A", "", "a" * 300, "-", 1))
    if random.random() < 0.1:
        owner = {"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "1"}
        metadata["ownerReferences"] = random.choice(([], [{}], [None], {}, [owner], [owner, owner], [{**owner, "foo": 1}]))
    if random.random() < 0.1:
        metadata["finalizers"] = random.choice((["a/b"], ["a"], ["orphan", "foregroundDeletion"], [None], "x", [""]))
    if random.random() < 0.1:
        metadata[random.choice(("foo", "Name"))] = None
    if random.random() < 0.1:
        metadata["creationTimestamp"] = random.choice((None, "2020-01-01T00:00:00Z", "x", 1, "2021-02-29T00:00:00Z"))
    return metadata


def _spoiled(random: Random, value: Any) -> Any:
    """Return the value with something wrong put somewhere into it."""
    chance = random.random()
    if isinstance(value, dict) and value and chance < 0.85:
        name = random.choice(list(value))
        if chance < 0.1:
            return {key: item for key, item in value.items() if key != name}
        if chance < 0.2:
            return {**value, random.choice(("foo", "Number", "labels", "x.y")): random.choice(JUNK)}
        return {**value, name: _spoiled(random, value[name])}
    if isinstance(value, list) and value and chance < 0.8:
        index = random.randrange(len(value))
        if chance < 0.15:
            return [*value[:index], random.choice(JUNK), *value[index:]]
        return [*value[:index], _spoiled(random, value[index]), *value[index + 1 :]]
    return random.choice(JUNK)
