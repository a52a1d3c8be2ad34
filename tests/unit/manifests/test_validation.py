"""What a ServiceEntry and a probe may say."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.manifests.probes import pattern_fault, probe_name, read_probes, url_fault
from egressctl.manifests.problems import ProblemCollector
from egressctl.manifests.validation import check_spec
from egressctl.model.probe import Expectation, Probe, Verdict
from examples import examples

TCP = {"number": 443, "name": "tcp-443", "protocol": "TCP"}
TLS = {"number": 443, "name": "tls-443", "protocol": "TLS"}
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 99999)
    | st.text(max_size=5)
    | st.sampled_from(["*", "DNS", "TCP", "::/0", "a.example"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "number", "address", "labels", "x"]), inner)
    ),
    max_leaves=6,
)


def spec(**changes: Any) -> dict[str, Any]:
    good: dict[str, Any] = {"hosts": ["a.example"], "addresses": ["203.0.113.0/24"], "ports": [TCP], "resolution": "NONE"}
    return {name: value for name, value in (good | changes).items() if value != "absent"}


def problems(*, any_address: bool = False, **changes: Any) -> list[str]:
    return [str(problem) for problem in check_spec(spec(**changes), any_address=any_address)]


def only(**changes: Any) -> str:
    found = problems(**changes)
    assert len(found) == 1, found
    return found[0]


def port(**changes: Any) -> list[dict[str, Any]]:
    return [{name: value for name, value in (TCP | changes).items() if value != "absent"}]


def test_a_good_entry_has_no_problem() -> None:
    assert problems() == []


def test_all_problems_are_told_at_once() -> None:
    found = check_spec({"host": ["x"], "addresses": ["1.2.3.4/8", "x"], "ports": [{"number": 0}], "resolution": "ANY"})
    assert {p.field for p in found} == {
        "host", "hosts", "addresses[0]", "addresses[1]", "ports[0].number", "ports[0].name", "resolution"
    }  # fmt: skip


@examples(300)
@given(
    st.dictionaries(
        st.sampled_from(["hosts", "addresses", "ports", "endpoints", "exportTo", "resolution", "workloadSelector", "x"]), JSON
    )
)
def test_any_content_gives_problems_and_never_raises(value: dict[str, Any]) -> None:
    found = check_spec(value)
    assert all(problem.message and problem.field for problem in found)
    assert bool(found) or {"hosts", "ports"} <= set(value)


class TestHosts:
    @pytest.mark.parametrize(
        "host",
        ["wikipedia.org", "Wikipedia.org", "*.wikipedia.org", "one", "a-b.c.d", "istio.io.", "xn--bcher-kva.de", "1.example"],
    )
    def test_dns_names_and_leading_wildcards_are_hosts(self, host: str) -> None:
        assert problems(hosts=[host]) == []

    @pytest.mark.parametrize(
        ("host", "what"),
        [
            ("*", "would name every host"),
            ("", "is empty"),
            ("  ", "is empty"),
            ("www.*.org", "a wildcard can only stand first"),
            ("foo*.com", "a wildcard can only stand first"),
            ("exa mple.com", "is no DNS name"),
            ("a_b.com", "is no DNS name"),
            ("-a.com", "is no DNS name"),
            ("a..com", "is no DNS name"),
            ("x" * 64 + ".com", "is no DNS name"),
            (".".join(["x" * 60] * 5), "is no DNS name"),
            ("a.123", "ends in a number"),
            ("208.80.154", "ends in a number"),
            ("208.80.154.224", "put the address under addresses"),
            ("208.80.154.224/27", "put the address under addresses"),
            ("2620:0:861::1", "put the address under addresses"),
            ("https://wikipedia.org", "write wikipedia.org, without scheme"),
            ("https://wikipedia.org:443/wiki", "write wikipedia.org, without scheme"),
            ("wikipedia.org:443", "write wikipedia.org, without scheme"),
            ("wikipedia.org/wiki", "write wikipedia.org, without scheme"),
            ("https://", "a DNS name, without scheme"),
            ("bücher.de", "write it as xn--bcher-kva.de"),
        ],
    )
    def test_what_is_no_host_says_what_would_be_right(self, host: str, what: str) -> None:
        assert what in only(hosts=[host])
        assert only(hosts=[host]).startswith("hosts[0]: ")

    @pytest.mark.parametrize("hosts", ["absent", []])
    def test_there_must_be_one(self, hosts: Any) -> None:
        assert only(hosts=hosts).startswith("hosts: there is no host")

    def test_there_are_at_most_256(self) -> None:
        assert problems(hosts=[f"h{n}.example" for n in range(256)]) == []
        assert only(hosts=[f"h{n}.example" for n in range(257)]).startswith("hosts: 257 hosts, at most 256")


class TestAddresses:
    @pytest.mark.parametrize("address", ["203.0.113.7", "203.0.113.7/32", "203.0.113.0/24", "128.0.0.0/1"])
    def test_plain_addresses_and_blocks_are_accepted(self, address: str) -> None:
        assert problems(addresses=[address]) == []

    @pytest.mark.parametrize(
        ("address", "remedy"),
        [
            ("208.80.154", "an IPv4 address such as"),
            ("1.2.3.4/33", "an IPv4 address such as"),
            ("300.1.1.1", "an IPv4 address such as"),
            ("", "an IPv4 address such as"),
            ("1.2.3.4-1.2.3.9", "an IPv4 address such as"),
            ("1.2.3.4/255.255.255.0", "an IPv4 address such as"),
            (" 10.0.0.1", "write 10.0.0.1"),
            ("010.0.0.01/08", "an IPv4 address such as"),
            ("010.0.0.01/8", "write 10.0.0.1/8"),
            ("wikipedia.org", "a name goes under hosts"),
        ],
    )
    def test_what_is_no_address_says_what_would_be_right(self, address: str, remedy: str) -> None:
        text = only(addresses=[address])
        assert text.startswith("addresses[0]: ")
        assert "is no address and no block" in text
        assert remedy in text

    @examples(100)
    @given(st.ip_addresses(v=4), st.integers(1, 31))
    def test_host_bits_are_refused_with_the_block_that_is_meant(self, address: ipaddress.IPv4Address, prefix: int) -> None:
        right = ipaddress.ip_network(f"{address}/{prefix}", strict=False)
        found = problems(addresses=[f"{address}/{prefix}"])
        if right.network_address == address:
            assert found == []
        else:
            assert found == [f"addresses[0]: {address}/{prefix} has host bits set (write {right})"]

    @pytest.mark.parametrize("twice", [("1.2.3.0/24", "1.2.3.0/24"), ("1.2.3.4", "1.2.3.4/32")])
    def test_a_block_can_stand_only_once(self, twice: tuple[str, str]) -> None:
        assert only(addresses=["9.9.9.9", *twice]) == (
            f"addresses[2]: {twice[1]} stands here twice, first as {twice[0]} (keep one of them)"
        )

    def test_a_block_inside_of_another_is_no_mistake(self) -> None:
        assert problems(addresses=["1.2.0.0/16", "1.2.3.0/24", "1.2.3.4"]) == []

    @pytest.mark.parametrize("address", ["2620:0:861:ed1a::1", "2001:db8::/32", "::/0", "::ffff:1.2.3.4"])
    def test_ipv6_is_not_supported_yet(self, address: str) -> None:
        assert "is IPv6, which is not supported yet (leave it out" in only(addresses=["1.2.3.4", address])

    def test_there_are_at_most_256(self) -> None:
        assert problems(addresses=[f"1.2.3.{n}" for n in range(256)]) == []
        assert only(addresses=[f"1.2.{n}.0/24" for n in range(256)] + ["9.9.9.9"]).startswith(
            "addresses: 257 addresses, at most 256"
        )


class TestWholePort:
    @pytest.mark.parametrize("addresses", ["absent", [], ["0.0.0.0/0"], ["9.9.9.9", "0.0.0.0/0"]])
    @pytest.mark.parametrize("protocol", ["TCP", "tcp", "Tcp", "", "absent", "MONGO", "redis", "MySQL"])
    def test_an_opaque_port_for_every_address_is_refused(self, addresses: Any, protocol: str) -> None:
        text = only(addresses=addresses, ports=port(protocol=protocol))
        assert "opens port 443 to every address" in text
        assert "--any-address" in text

    @pytest.mark.parametrize("addresses", ["absent", [], ["0.0.0.0/0"]])
    def test_unless_it_is_meant(self, addresses: Any) -> None:
        assert problems(any_address=True, addresses=addresses) == []

    @pytest.mark.parametrize("protocol", ["HTTP", "HTTPS", "TLS", "HTTP2", "GRPC"])
    def test_a_port_that_is_matched_by_name_needs_no_address(self, protocol: str) -> None:
        assert problems(addresses="absent", ports=port(protocol=protocol)) == []

    def test_each_such_port_is_named(self) -> None:
        ports = [TLS, {"number": 22, "name": "ssh", "protocol": "TCP"}, {"number": 25, "name": "smtp"}]
        assert [p.split(":")[0] for p in problems(addresses="absent", ports=ports)] == ["ports[1]", "ports[2]"]

    def test_an_address_that_cannot_be_read_does_not_hide_it_or_add_to_it(self) -> None:
        assert "is no address" in only(addresses=["x"])


class TestPorts:
    @pytest.mark.parametrize("ports", ["absent", []])
    def test_there_must_be_one(self, ports: Any) -> None:
        assert only(ports=ports).startswith("ports: there is no port")

    @pytest.mark.parametrize("number", [15001, 15006, 15021, 15090])
    def test_the_sidecars_own_ports_are_refused(self, number: int) -> None:
        assert f"the sidecar uses port {number} itself" in only(ports=port(number=number))
        assert problems(ports=port(targetPort=number)) == []

    @pytest.mark.parametrize("number", [1, 15000, 15020, 65535])
    def test_other_numbers_are_free(self, number: int) -> None:
        assert problems(ports=port(number=number)) == []

    @pytest.mark.parametrize(
        ("number", "what"),
        [
            (0, "0 is no port number"),
            (65536, "65536 is no port number"),
            (-1, "-1 is no port number"),
            ("443", 'is the text "443"'),
            (True, "is the boolean true"),
            (4.5, "is the number 4.5"),
            (None, "is empty"),
            ("absent", "has no number"),
        ],
    )
    def test_a_number_is_1_to_65535(self, number: Any, what: str) -> None:
        assert what in only(ports=port(number=number))
        assert only(ports=port(number=number)).startswith("ports[0].number: ")

    @pytest.mark.parametrize(
        ("name", "what"),
        [
            ("TCP_port", "write tcp-port"),
            ("p" * 64, "is no name of a port"),
            ("", "small letters"),
            ("-", "small letters"),
            (3, "is the number 3"),
            ("absent", "has no name"),
        ],
    )
    def test_a_name_is_a_dns_label(self, name: Any, what: str) -> None:
        assert what in only(ports=port(name=name))

    @pytest.mark.parametrize("protocol", ["tcp", "Mongo", "grpc-web", "HTTP_PROXY", "UDP", "HTTPS"])
    def test_the_case_of_a_protocol_does_not_count(self, protocol: str) -> None:
        assert problems(ports=port(protocol=protocol)) == []

    @pytest.mark.parametrize(
        ("protocol", "what"), [("TPC", "did you mean TCP?"), ("QQQQ", "one of GRPC, "), (6, "is the number 6")]
    )
    def test_an_unknown_protocol_offers_the_nearest(self, protocol: Any, what: str) -> None:
        assert what in only(ports=port(protocol=protocol))

    def test_numbers_and_names_stand_once(self) -> None:
        found = problems(ports=[TCP, TCP])
        assert found == [
            "ports[1].number: two ports have the number 443 (a number can stand only once)",
            'ports[1].name: two ports have the name "tcp-443" (a name can stand only once)',
        ]


class TestFieldsAndTypes:
    @pytest.mark.parametrize(
        ("changes", "field", "remedy"),
        [
            ({"adresses": []}, "adresses", "did you mean addresses?"),
            ({"Hosts": []}, "Hosts", "did you mean hosts?"),
            ({"zzz": []}, "zzz", "known here: hosts, "),
            ({"ports": [TCP | {"protocl": "TCP"}]}, "ports[0].protocl", "did you mean protocol?"),
            (
                {"resolution": "STATIC", "endpoints": [{"address": "1.2.3.4", "adress": ""}]},
                "endpoints[0].adress",
                "did you mean address?",
            ),
            ({"workloadSelector": {"label": {}}}, "workloadSelector.label", "did you mean labels?"),
        ],
    )
    def test_an_unknown_field_offers_the_nearest_at_every_level(self, changes: dict[str, Any], field: str, remedy: str) -> None:
        text = only(**changes)
        assert text.startswith(f"{field}: unknown field")
        assert remedy in text

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"hosts": "a.example"}, 'hosts: is the text "a.example" (expected a list of DNS names)'),
            ({"hosts": ["a.example", 3]}, "hosts[1]: is the number 3 (expected one of DNS names)"),
            (
                {"addresses": None},
                "addresses: is empty (expected a list of addresses, as text; leave the field out if there is none)",
            ),
            (
                {"ports": ["443"]},
                'ports[0]: is the text "443" (expected one of ports such as {number: 443, name: tcp-443, protocol: TCP})',
            ),
            ({"resolution": 3}, "resolution: is the number 3 (expected one of NONE, STATIC, DNS, DNS_ROUND_ROBIN, DYNAMIC_DNS)"),
            ({"resolution": "none"}, 'resolution: "none" is not known (one of NONE, STATIC, DNS, DNS_ROUND_ROBIN, DYNAMIC_DNS)'),
            ({"location": "OUTSIDE"}, 'location: "OUTSIDE" is not known (one of MESH_EXTERNAL, MESH_INTERNAL)'),
            ({"subjectAltNames": [1]}, "subjectAltNames[0]: is the number 1 (expected one of names, as text)"),
        ],
    )
    def test_a_wrong_type_or_choice_says_what_is_expected(self, changes: dict[str, Any], text: str) -> None:
        assert only(**changes) == text

    @pytest.mark.parametrize("value", [None, [], "x", 3])
    def test_a_spec_that_is_no_mapping_is_one_problem(self, value: Any) -> None:
        assert len(check_spec(value)) == 1

    def test_text_of_the_input_cannot_write_to_the_terminal(self) -> None:
        text = "".join(problems(hosts=["\x1b[31m"], addresses=["\x1b]0;x\x07"], **{"\x1b[2J": True}))
        assert text.isprintable()


class TestCombinations:
    @pytest.mark.parametrize(
        ("changes", "field", "what"),
        [
            ({"resolution": "DNS"}, "addresses[0]", "a block does not go with resolution DNS"),
            ({"endpoints": [{"address": "1.2.3.4"}]}, "endpoints", "do not go with resolution NONE"),
            (
                {
                    "resolution": "DNS_ROUND_ROBIN",
                    "addresses": ["1.2.3.4"],
                    "endpoints": [{"address": "a.b"}, {"address": "b.c"}],
                },
                "endpoints",
                "several endpoints do not go with",
            ),
            (
                {"resolution": "STATIC", "workloadSelector": {"labels": {"a": "b"}}, "endpoints": [{"address": "1.2.3.4"}]},
                "endpoints",
                "do not go with a workloadSelector",
            ),
            ({"workloadSelector": {"labels": {"a": "*"}}}, "workloadSelector.labels.a", "takes no wildcard"),
            ({"resolution": "STATIC", "endpoints": [{}]}, "endpoints[0].address", "the endpoint has no address"),
            ({"resolution": "STATIC", "endpoints": [{"address": "db.example"}]}, "endpoints[0].address", "as STATIC needs"),
            (
                {"resolution": "DNS", "addresses": ["1.2.3.4"], "endpoints": [{"address": "a_b"}]},
                "endpoints[0].address",
                "neither an IP",
            ),
            (
                {"resolution": "STATIC", "endpoints": [{"address": "1.2.3.4", "ports": {"other": 8443}}]},
                "endpoints[0].ports.other",
                "no port of this entry has this name",
            ),
            (
                {"resolution": "STATIC", "endpoints": [{"address": "1.2.3.4", "weight": -1}]},
                "endpoints[0].weight",
                "is no weight",
            ),
            (
                {"resolution": "STATIC", "hosts": ["a.example", "b.example"]},
                "hosts",
                "several hosts on a port of neither HTTP nor TLS",
            ),
            ({"resolution": "DNS", "addresses": ["1.2.3.4"], "hosts": ["*.example"]}, "hosts[0]", "a wildcard does not go with"),
            ({"resolution": "DYNAMIC_DNS", "addresses": "absent", "ports": [TLS]}, "hosts[0]", "wildcard hosts only"),
            (
                {"resolution": "DYNAMIC_DNS", "hosts": ["*.example"], "addresses": ["1.2.3.4"], "ports": [TLS]},
                "addresses",
                "do not go with",
            ),
            (
                {"resolution": "DYNAMIC_DNS", "hosts": ["*.example"], "addresses": "absent", "ports": port(protocol="HTTPS")},
                "ports[0].protocol",
                "takes HTTP, HTTP2, GRPC and TLS only",
            ),
        ],
    )
    def test_what_does_not_go_together_is_refused(self, changes: dict[str, Any], field: str, what: str) -> None:
        text = only(**changes)
        assert text.startswith(f"{field}: ")
        assert what in text

    @pytest.mark.parametrize(
        "changes",
        [
            {"resolution": "STATIC"},
            {
                "resolution": "STATIC",
                "endpoints": [{"address": "1.2.3.4", "ports": {"tcp-443": 8443}, "labels": {"a": "b"}, "weight": 1}],
            },
            {"resolution": "STATIC", "endpoints": [{"address": "unix:///a"}]},
            {"resolution": "STATIC", "endpoints": [{"network": "n1"}]},
            {"resolution": "DNS", "addresses": ["1.2.3.4"], "endpoints": [{"address": "db.example"}, {"address": "1.2.3.4"}]},
            {"resolution": "DNS", "addresses": ["1.2.3.4"], "hosts": ["*.example"], "endpoints": [{"address": "db.example"}]},
            {"hosts": ["a.example", "b.example"]},
            {"resolution": "STATIC", "hosts": ["a.example", "b.example"], "ports": [TLS]},
            {"resolution": "DYNAMIC_DNS", "hosts": ["*.example"], "addresses": "absent", "ports": [TLS]},
            {"workloadSelector": {"labels": {"a": "b"}}, "resolution": "STATIC"},
            {"subjectAltNames": ["a.example"]},
        ],
    )
    def test_what_goes_together_is_accepted(self, changes: dict[str, Any]) -> None:
        assert problems(**changes) == []

    @pytest.mark.parametrize("export_to", [["."], ["*"], ["~"], [".", "apps"], ["apps", "more"], []])
    def test_exports_that_istio_accepts(self, export_to: list[str]) -> None:
        assert problems(exportTo=export_to) == []

    @pytest.mark.parametrize(
        ("export_to", "what"),
        [
            (["*", "."], "others are named beside it"),
            (["~", "a"], "others are named beside it"),
            ([".", "."], "stands here twice"),
            (["a", "a"], "stands here twice"),
            (["a/b"], "is no namespace"),
            ([""], "is no namespace"),
            (["*", "*"], "stands here twice"),
        ],
    )
    def test_exports_that_it_does_not(self, export_to: list[str], what: str) -> None:
        assert what in only(exportTo=export_to)


class TestUrls:
    @pytest.mark.parametrize(
        "url",
        [
            "https://www.wikipedia.org",
            "http://a.example:8080/x?y=%20#z",
            "HTTPS://A.example",
            "https://10.1.2.3",
            "https://192.168.1.1:8443/",
            "https://208.80.154.224",
            "https://[2620:0:861:ed1a::1]/",
            "https://xn--bcher-kva.de",
            "https://a_b.example.org.",
        ],
    )
    def test_web_addresses_outside_are_accepted(self, url: str) -> None:
        assert url_fault(url) is None

    @pytest.mark.parametrize(
        "host",
        [
            "localhost", "LOCALHOST", "localhost.", "a.localhost", "localhost.localdomain", "127.0.0.1", "127.9.9.9",
            "[::1]", "0.0.0.0", "0.1.2.3", "[::]", "169.254.169.254", "169.254.0.1", "[fe80::1]", "224.0.0.1",
            "255.255.255.255", "[ff02::1]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[::127.0.0.1]",
            "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fd00:ec2::254]", "sleep", "kubernetes", "kubernetes.default",
            "kubernetes.default.svc", "a.b.svc", "a.b.svc.cluster.local", "A.B.SVC.cluster.local.",
            "metadata.google.internal",
        ],
    )  # fmt: skip
    def test_the_pod_its_node_and_the_kubernetes_cluster_are_refused_unless_meant(self, host: str) -> None:
        fault = url_fault(f"http://{host}/")
        assert fault is not None
        assert "leads to the pod itself" in fault[0]
        assert "--allow-internal" in fault[1]
        assert url_fault(f"http://{host}/", allow_internal=True) is None

    @pytest.mark.parametrize(
        "host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "1.2.3.4.5", "0x7f.0.0.1", "127%2e0.0.1", "127。0。0。1"]
    )
    def test_numbers_that_only_curl_reads_as_addresses_are_refused(self, host: str) -> None:
        assert url_fault(f"http://{host}/", allow_internal=True) is not None

    @pytest.mark.parametrize(
        ("url", "what"),
        [
            ("", "neither http nor https"),
            ("www.wikipedia.org", "neither http nor https"),
            ("ftp://a.example", "neither http nor https"),
            ("file:///etc/passwd", "neither http nor https"),
            ("telnet://a.example:443", "neither http nor https"),
            ("https://", "names no host"),
            ("https:///path", "names no host"),
            ("https:/a.example", "names no host"),
            ("https://user@a.example", "a user or a password"),
            ("https://user:secret@a.example", "a user or a password"),
            ("https://@a.example", "a user or a password"),
            ("https://a.example:0", "no port number"),
            ("https://a.example:65536", "cannot be read"),
            ("https://a.example:x", "cannot be read"),
            ("https://[::1", "cannot be read"),
            ("https://a.example/a b", "a blank or a control character"),
            ("https://a.example/\n", "a blank or a control character"),
            ("https://a.example/\x00", "a blank or a control character"),
            ("https://a.example\u2028/", "a blank or a control character"),
            (" https://a.example", "a blank or a control character"),
            ("https://bücher.de", "not written in ASCII"),
            ("https://a.example/ü", "no URL has"),
            ("https://a.example\\@b.example/", "no URL has|a user or a password"),
            ("https://a..example/", "is no host"),
            ("https://-a.example/", "is no host"),
            ("https://a.example/" + "x" * 2048, "characters"),
        ],
    )
    def test_what_cannot_be_asked_is_refused(self, url: str, what: str) -> None:
        fault = url_fault(url, allow_internal=True)
        assert fault is not None
        assert re.search(what, fault[0])

    def test_a_password_is_not_repeated(self) -> None:
        fault = url_fault("https://user:secret@a.example")
        assert fault is not None
        assert "secret" not in " ".join(fault)

    @examples(300)
    @given(st.text(st.sampled_from("htps:/@[]%.#?\\ax0179*-_\n é"), max_size=30).map(lambda tail: "http://" + tail))
    def test_any_text_is_judged_without_raising(self, url: str) -> None:
        if url_fault(url) is None:
            probe = Probe("p", url)
            assert probe.host
            assert 1 <= probe.port <= 65535


class TestProbes:
    def read(self, value: object, **options: bool) -> tuple[tuple[Probe, ...], list[str]]:
        found = ProblemCollector()
        return read_probes(found, value, ("probes",), **options), [str(problem) for problem in found.problems]

    def test_a_probe_says_what_it_expects(self) -> None:
        value = [
            {"name": "a", "url": "https://a.example"},
            {
                "name": "b",
                "url": "https://b.example/x",
                "expect": {"status": 404, "via": "gw.istio-system.svc.cluster.local", "verdict": "blocked"},
                "extract": {"n": "x(.)"},
            },
            {"name": "c", "url": "http://c.example", "expect": {"status": "any"}},
        ]
        assert self.read(value) == (
            (
                Probe("a", "https://a.example"),
                Probe(
                    "b",
                    "https://b.example/x",
                    Expectation(Verdict.BLOCKED, 404, "gw.istio-system.svc.cluster.local"),
                    {"n": "x(.)"},
                ),
                Probe("c", "http://c.example", Expectation(status=None)),
            ),
            [],
        )

    @pytest.mark.parametrize("value", ["none", []])
    def test_none_is_none(self, value: object) -> None:
        assert self.read(value) == ((), [])

    def test_a_probe_without_a_name_is_named_after_its_host(self) -> None:
        probes, found = self.read([{"url": "https://www.a.example"}, {"url": "https://www.a.example/2"}])
        assert ([p.name for p in probes], found) == (["www-a-example", "www-a-example-2"], [])

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"nme": "x"}, "nme: unknown field (did you mean name?)"),
            ({"url": "absent"}, "url: the probe has no url (such as url: https://www.wikipedia.org)"),
            ({"url": 3}, "url: is the number 3 (expected a URL)"),
            ({"url": None}, "url: is empty (expected a URL; leave the field out if there is none)"),
            ({"url": "ftp://a"}, 'url: "ftp://a" is neither http nor https (such as https://www.wikipedia.org)'),
            ({"name": "A b"}, 'name: is no name: the text "A b" (small letters, digits and inner hyphens, at most 63)'),
            ({"expect": {"status": 99}}, "expect.status: is no HTTP status: the number 99 (100 to 599, or any)"),
            ({"expect": {"status": 600}}, "expect.status: is no HTTP status: the number 600 (100 to 599, or any)"),
            ({"expect": {"status": True}}, "expect.status: is no HTTP status: the boolean true (100 to 599, or any)"),
            ({"expect": {"stats": 200}}, "expect.stats: unknown field (did you mean status?)"),
            ({"expect": 200}, "expect: is the number 200 (expected a mapping such as {status: 200})"),
            (
                {"expect": {"verdict": "unproven"}},
                'expect.verdict: is no verdict to expect: the text "unproven" (one of open, bypassed, failed, blocked)',
            ),
            (
                {"extract": {"a b": "(.)"}},
                "extract[a b]: is no name for what is extracted (a letter, then letters, digits, - and _)",
            ),
            (
                {"extract": {"a": "."}},
                "extract.a: the expression has no groups (exactly one, around what is wanted; (?:...) for the others)",
            ),
            ({"extract": ["(.)"]}, "extract: is a list (expected a mapping of names to regular expressions)"),
        ],
    )
    def test_each_mistake_says_what_would_be_right(self, changes: dict[str, Any], text: str) -> None:
        probe = {name: value for name, value in ({"url": "https://a.example"} | changes).items() if value != "absent"}
        assert self.read([probe])[1] == [f"probes[0].{text}"]

    def test_a_via_is_a_host(self) -> None:
        assert "expect.via: " in self.read([{"url": "https://a.example", "expect": {"via": "*.a"}}])[1][0]

    def test_names_stand_once(self) -> None:
        found = self.read([{"name": "a", "url": "https://a.example"}, {"name": "a", "url": "https://b.example"}])[1]
        assert found == ["probes[1].name: two probes have the name a (a name can stand only once)"]

    def test_internal_addresses_need_a_word(self) -> None:
        value = [{"name": "a", "url": "http://localhost"}]
        assert "--allow-internal" in self.read(value)[1][0]
        assert self.read(value, allow_internal=True) == ((Probe("a", "http://localhost"),), [])

    @examples(150)
    @given(JSON | st.lists(st.dictionaries(st.sampled_from(["name", "url", "expect", "extract"]), JSON), max_size=3))
    def test_any_content_gives_problems_and_never_raises(self, value: object) -> None:
        probes, found = self.read(value)
        assert found or all(url_fault(probe.url) is None for probe in probes)

    @pytest.mark.parametrize(
        ("url", "taken", "name"),
        [
            ("https://www.wikipedia.org/x", (), "www-wikipedia-org"),
            ("https://1.2.3.4", ("1-2-3-4",), "1-2-3-4-2"),
            ("https://a.example", ("a-example", "a-example-2"), "a-example-3"),
            ("https://[2001:db8::1]/", (), "2001-db8-1"),
        ],
    )
    def test_names_of_probes_are_labels(self, url: str, taken: tuple[str, ...], name: str) -> None:
        assert probe_name(url, taken) == name


class TestPatterns:
    @pytest.mark.parametrize(
        "pattern",
        [
            r"a(.*)b",
            r"(?i)<b>([0-9,]+)</b>",
            r"(\(+)x",
            r"([^)+*(]+)b",
            r"(?:a{0,5})*(b)",
            r"(?:a+){0,3}(b)",
            r"(?P<n>\d+)",
            r"([])+]+)",
            r"(?=a+)(b)+",
        ],
    )
    def test_one_group_is_usable(self, pattern: str) -> None:
        assert pattern_fault(pattern) is None

    @pytest.mark.parametrize(
        ("pattern", "what"),
        [
            ("abc", "has no groups"),
            ("(a)(b)", "has 2 groups"),
            ("(a", "is no regular expression"),
            ("[[](a)", "is no regular expression"),
            ("(a){99999999999999999999}", "is no regular expression"),
            ("(" + "a" * 500 + ")", "has 502 characters"),
            ("(a+)+b", "holds another"),
            ("(?:a|b+)*(x)", "holds another"),
            ("(a{2,})+", "holds another"),
            ("(?:(?:a*b)c)+(d)", "holds another"),
            ("(?:a+){2,}(d)", "holds another"),
            (r"(?P<x>\w+)*$", "holds another"),
        ],
    )
    def test_others_say_why_not(self, pattern: str, what: str) -> None:
        fault = pattern_fault(pattern)
        assert fault is not None
        assert what in fault[0]

    @examples(200)
    @given(st.text(st.sampled_from("ab()[]{}*+?|\\^$.,1:=!<>P#"), max_size=15))
    def test_any_text_is_judged_without_raising(self, pattern: str) -> None:
        if pattern_fault(pattern) is None:
            assert re.compile(pattern).groups == 1
