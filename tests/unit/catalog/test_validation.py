"""What a ServiceEntry may say."""

from __future__ import annotations

import ipaddress
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import oddities
from egressctl.catalog.validation import check_spec
from entries import JSON
from examples import examples

TCP = {"number": 443, "name": "tcp-443", "protocol": "TCP"}
TLS = {"number": 443, "name": "tls-443", "protocol": "TLS"}


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


@examples(300)
@given(st.integers())
def test_an_entry_with_mistakes_anywhere_gives_problems_at_its_fields(seed: int) -> None:
    odd = oddities.manifest(random.Random(seed)).get("spec")
    assert all(problem.message and (problem.field or not isinstance(odd, dict)) for problem in check_spec(odd))


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
            (".".join(["x" * 60] * 5), "has 304 characters"),
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
            ("208.80.154", "an address such as"),
            ("1.2.3.4/33", "an address such as"),
            ("300.1.1.1", "an address such as"),
            ("", "an address such as"),
            ("1.2.3.4-1.2.3.9", "an address such as"),
            ("1.2.3.4/255.255.255.0", "an address such as"),
            (" 10.0.0.1", "write 10.0.0.1"),
            ("010.0.0.01/08", "an address such as"),
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
            f"addresses[2]: {twice[1]} is here twice, first as {twice[0]} (keep one of them)"
        )

    def test_a_block_inside_of_another_is_no_mistake(self) -> None:
        assert problems(addresses=["1.2.0.0/16", "1.2.3.0/24", "1.2.3.4"]) == []

    @pytest.mark.parametrize("address", ["2620:0:861:ed1a::1", "2001:db8::/32", "2001:DB8::/32", "::1.2.3.4/128", "8000::/1"])
    def test_those_of_ipv6_are_accepted_beside_others(self, address: str) -> None:
        assert problems(addresses=[address]) == problems(addresses=["1.2.3.4", address]) == []

    @pytest.mark.parametrize(
        ("address", "right"),
        [("::ffff:1.2.3.4", "1.2.3.4"), ("::FFFF:102:300/120", "1.2.3.0/24"), ("::ffff:0:0/96", "0.0.0.0/0")],
    )
    def test_ipv4_that_is_written_as_ipv6_catches_nothing(self, address: str, right: str) -> None:
        told = f"{address} is an IPv4 address written as IPv6, and no connection is made to that (write {right})"
        assert only(addresses=["9.9.9.9", address]) == f"addresses[1]: {told}"

    @pytest.mark.parametrize(
        ("addresses", "told"),
        [
            (["2001:db8::1/32"], "2001:db8::1/32 has host bits set (write 2001:db8::/32)"),
            (["2001:db8::1", "2001:DB8:0::1/128"], "2001:DB8:0::1/128 is here twice, first as 2001:db8::1 (keep one of them)"),
            (["fe80::1%eth0"], "fe80::1%eth0 has a zone, which is known on one machine only (leave out what begins with %)"),
        ],
    )
    def test_what_is_wrong_with_ipv6_is_told_as_of_ipv4(self, addresses: list[str], told: str) -> None:
        assert only(addresses=addresses).endswith(told)

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

    def test_every_address_of_ipv6_is_refused_likewise(self) -> None:
        text = only(addresses=["9.9.9.9", "::/0"])
        assert "a TCP port with ::/0 among its addresses opens port 443 to every IPv6 address" in text

    @pytest.mark.parametrize("addresses", ["absent", [], ["0.0.0.0/0"], ["::/0"]])
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
            'ports[1].name: two ports have the name "tcp-443" (a name can stand only once)',
            "ports[1].number: two ports have the number 443 (a number can stand only once)",
        ]


class TestFieldsAndTypes:
    @pytest.mark.parametrize(
        ("changes", "field", "remedy"),
        [
            ({"adresses": []}, "adresses", "did you mean addresses?"),
            ({"Hosts": []}, "Hosts", "did you mean hosts?"),
            ({"zzz": []}, "zzz", "known here: addresses, "),
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
            ({"hosts": "a.example"}, 'hosts: is the text "a.example" (expected a list such as [www.wikipedia.org])'),
            ({"hosts": ["a.example", 3]}, "hosts[1]: is the number 3 (expected text such as www.wikipedia.org)"),
            (
                {"addresses": None},
                "addresses: is empty (expected a list such as [208.80.154.224/27]; leave the field out if there is none)",
            ),
            (
                {"ports": ["443"]},
                'ports[0]: is the text "443" (expected a mapping such as {number: 443, name: tcp-443, protocol: TCP})',
            ),
            ({"resolution": 3}, "resolution: is the number 3 (expected one of NONE, STATIC, DNS, DNS_ROUND_ROBIN, DYNAMIC_DNS)"),
            ({"resolution": "none"}, 'resolution: "none" is not known (one of NONE, STATIC, DNS, DNS_ROUND_ROBIN, DYNAMIC_DNS)'),
            ({"location": "OUTSIDE"}, 'location: "OUTSIDE" is not known (one of MESH_EXTERNAL, MESH_INTERNAL)'),
            ({"subjectAltNames": [1]}, "subjectAltNames[0]: is the number 1 (expected text)"),
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
            (
                {"resolution": "DNS"},
                "addresses",
                "CIDR addresses are allowed only for NONE/STATIC resolution types (use NONE or STATIC, or plain addresses)",
            ),
            ({"endpoints": [{"address": "1.2.3.4"}]}, "endpoints", "NONE mode cannot set endpoints (none with NONE, "),
            (
                {
                    "resolution": "DNS_ROUND_ROBIN",
                    "addresses": ["1.2.3.4"],
                    "endpoints": [{"address": "a.b"}, {"address": "b.c"}],
                },
                "endpoints",
                "DNS_ROUND_ROBIN mode cannot have multiple endpoints (none with NONE, at most one",
            ),
            (
                {"resolution": "STATIC", "workloadSelector": {"labels": {"a": "b"}}, "endpoints": [{"address": "1.2.3.4"}]},
                "endpoints",
                "only one of WorkloadSelector or Endpoints can be set (keep one of the two)",
            ),
            (
                {"workloadSelector": {"labels": {"a": "*"}}},
                "workloadSelector.labels.a",
                "wildcard is not supported in selector (write the labels out)",
            ),
            ({"resolution": "STATIC", "endpoints": [{}]}, "endpoints[0]", "Address is required (such as address: 198.51.100.7"),
            (
                {"resolution": "STATIC", "endpoints": [{"address": "db.example"}]},
                "endpoints[0].address",
                'endpoint address "db.example" is not a valid IP address (such as address: 198.51.100.7',
            ),
            (
                {"resolution": "DNS", "addresses": ["1.2.3.4"], "endpoints": [{"address": "a_b"}]},
                "endpoints[0].address",
                'endpoint address "a_b" is not a valid FQDN or an IP address (such as',
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
                {"resolution": "STATIC", "endpoints": [{"address": "1.2.3.4", "labels": {"a b": "c"}}]},
                "endpoints[0].labels[a b]",
                'invalid tag key: "a b" (letters, digits, and - _ . within, as labels of pods have)',
            ),
            (
                {"resolution": "STATIC", "hosts": ["a.example", "b.example"]},
                "ports[0]",
                "multiple hosts provided with non-HTTP, non-TLS ports (one host an entry, or resolution NONE)",
            ),
            (
                {"resolution": "DNS", "addresses": ["1.2.3.4"], "hosts": ["*.example"]},
                "hosts[0]",
                'for resolution mode DNS, domain name "*.example" invalid (label "*" invalid) (name the host, or list endpoints)',
            ),
            (
                {"resolution": "DYNAMIC_DNS", "addresses": "absent", "ports": [TLS]},
                "hosts[0]",
                "host must be wildcarded for resolution mode DYNAMIC_DNS (wildcard hosts such as",
            ),
            (
                {"resolution": "DYNAMIC_DNS", "hosts": ["*.example"], "addresses": ["1.2.3.4"], "ports": [TLS]},
                "addresses",
                "addresses cannot be set for resolution type DYNAMIC_DNS",
            ),
            (
                {"resolution": "DYNAMIC_DNS", "hosts": ["*.example"], "addresses": "absent", "ports": port(protocol="HTTPS")},
                "ports[0]",
                "only HTTP, TLS, GRPC, and HTTP2 protocols are supported for resolution type DYNAMIC_DNS",
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
            (["*", "."], "cannot have both public (*) and non-public exportTo values"),
            (["~", "a"], "cannot export service entry to no one (~) and someone"),
            ([".", "."], "duplicate entries in exportTo for entry ."),
            (["a", "a"], "duplicate entries in exportTo for entry a"),
            (["a/b"], "a valid DNS 1123 label is allowed as exportTo entry (the names of namespaces"),
            ([""], "a valid DNS 1123 label is allowed as exportTo entry (the names of namespaces"),
        ],
    )
    def test_exports_that_it_does_not(self, export_to: list[str], what: str) -> None:
        assert what in only(exportTo=export_to)
