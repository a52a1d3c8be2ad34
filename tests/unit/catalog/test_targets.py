"""Files, flags and plain manifests as targets."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from egressctl.catalog.targets import load_targets, target_from_flags, target_from_host
from egressctl.errors import InvalidInput
from egressctl.manifests import service_entry as se
from egressctl.manifests.egress_target import split_large_targets
from egressctl.manifests.typed_host import read_typed_host
from egressctl.manifests.yaml_writer import write_yaml
from egressctl.model.probe import Expectation, Probe, Target
from egressctl.verify.select import verify_target_for
from entries import JSON
from examples import examples

TARGET = """\
apiVersion: egressctl.dev/v1alpha1
kind: EgressTarget
metadata:
  name: wikipedia
spec:
  serviceEntry:
    hosts: [wikipedia.org]
    addresses: [208.80.154.224/27]
    ports: [{number: 443, name: tcp-port, protocol: TCP}]
  probes:
  - {name: portal, url: https://www.wikipedia.org, expect: {status: 200}}
"""
ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: wiki
  namespace: apps
spec:
  hosts: [wikipedia.org]
  addresses: [208.80.154.224/27]
  ports: [{number: 443, name: tcp-port, protocol: TCP}]
"""
PORTAL = Probe("portal", "https://www.wikipedia.org")
DERIVED = Probe("tcp-port", "https://wikipedia.org", Expectation(status=None))


MANY = [*(f"1.2.{n}.0/24" for n in range(256)), "1.2.255.7"]
"""One more than an entry holds."""


def listing(text: str, addresses: list[str]) -> str:
    return text.replace("[208.80.154.224/27]", json.dumps(addresses))


def test_a_target_may_list_more_than_an_entry_and_a_plain_entry_no_more_than_istio_takes() -> None:
    assert only(listing(TARGET, MANY)).spec["addresses"] == MANY
    assert problems(listing(ENTRY, MANY)) == [
        "f.yaml:8: spec.addresses: 257 addresses, at most 256 are allowed (split them over several entries)"
    ]
    too_many = [f"1.{n // 256}.{n % 256}.0/24" for n in range(16_001)]
    assert problems(listing(TARGET, too_many)) == [
        "f.yaml:8: spec.serviceEntry.addresses: 16001 addresses, at most 16000 are allowed "
        "(list only what is called, or make several targets)"
    ]


def test_the_name_of_a_target_of_several_entries_leaves_room_for_theirs() -> None:
    long = listing(TARGET, MANY).replace("name: wikipedia\n", f"name: {'w' * 41}\n")
    assert problems(long)[0].startswith(f'f.yaml:4: metadata.name: "{"w" * 41}" is too long for a target of 257 addresses')


def only(text: str, **options: bool) -> Target:
    (found,) = load_targets(text, "f.yaml", **options)
    return found


def problems(text: str, **options: bool) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        load_targets(text, "f.yaml", **options)
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))
    return [str(problem) for problem in caught.value.problems]


def edited(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


class TestEgressTarget:
    def test_it_says_entry_and_probes(self) -> None:
        assert only(TARGET) == Target(
            name="wikipedia",
            entry_name="wikipedia-ext",
            namespace=None,
            spec={
                "hosts": ["wikipedia.org"],
                "addresses": ["208.80.154.224/27"],
                "ports": [{"number": 443, "name": "tcp-port", "protocol": "TCP"}],
            },
            probes=(PORTAL,),
        )

    def test_namespace_labels_and_annotations_are_kept(self) -> None:
        text = edited(
            TARGET, ("  name: wikipedia\n", "  name: wikipedia\n  namespace: apps\n  labels: {a: b}\n  annotations: {c: d}\n")
        )
        found = only(text)
        assert (found.namespace, found.labels, found.annotations) == ("apps", {"a": "b"}, {"c": "d"})

    def test_without_probes_they_are_derived(self) -> None:
        assert only(TARGET[: TARGET.index("  probes:")]).probes == (DERIVED,)

    @pytest.mark.parametrize("none", ["none", "[]"])
    def test_probes_can_be_none(self, none: str) -> None:
        assert only(TARGET[: TARGET.index("  probes:")] + f"  probes: {none}\n").probes == ()

    def test_probes_cannot_stand_in_the_annotation_as_well(self) -> None:
        text = edited(TARGET, ("  name: wikipedia\n", "  name: wikipedia\n  annotations: {egressctl.dev/probes: none}\n"))
        assert problems(text) == [
            "f.yaml:5: metadata.annotations[egressctl.dev/probes]: the probes are here and under spec.probes "
            "(keep those under spec.probes)"
        ]

    def test_the_flags_that_allow_more_do(self) -> None:
        text = edited(TARGET, ("    addresses: [208.80.154.224/27]\n", ""), ("https://www.wikipedia.org", "http://localhost"))
        assert len(problems(text)) == 2
        assert only(text, any_address=True, allow_internal=True).probes[0].url == "http://localhost"

    @pytest.mark.parametrize("name", ["a", "a-1", "x" * 59])
    def test_names_leave_room_for_the_suffix(self, name: str) -> None:
        assert only(edited(TARGET, ("name: wikipedia\n", f"name: {name}\n"))).entry_name == f"{name}-ext"

    @pytest.mark.parametrize("name", ["A", "a.b", "a_b", "-a", "x" * 60, "''", "ä"])
    def test_other_names_are_refused(self, name: str) -> None:
        (problem,) = problems(edited(TARGET, ("name: wikipedia\n", f"name: {name}\n")))
        assert problem.startswith("f.yaml:4: metadata.name: ")
        assert "at most 59" in problem

    @pytest.mark.parametrize(
        ("old", "new", "text"),
        [
            (
                "v1alpha1",
                "v1",
                'f.yaml:1: apiVersion: "egressctl.dev/v1" is no version of EgressTarget (write egressctl.dev/v1alpha1)',
            ),
            ("metadata:\n  name: wikipedia\n", "", "f.yaml:1: metadata.name: the target has no name"),
            ("  name: wikipedia\n", "  namespace: a\n", "f.yaml:3: metadata.name: the target has no name"),
            ("name: wikipedia\n", "name: 1\n", "f.yaml:4: metadata.name: is the number 1"),
            ("  name: wikipedia\n", "  name: wikipedia\n  uid: x\n", "f.yaml:5: metadata.uid: unknown field"),
            (
                "  name: wikipedia\n",
                "  name: wikipedia\n  namespace: A\n",
                "f.yaml:5: metadata.namespace: is no name of a namespace",
            ),
            ("  name: wikipedia\n", "  name: wikipedia\n  labels: {a: 1}\n", "f.yaml:5: metadata.labels.a: is the number 1"),
            ("spec:\n", "status: {}\nspec:\n", "f.yaml:5: status: unknown field"),
            ("  probes:", "  probe:", "f.yaml:10: spec.probe: unknown field (did you mean probes?)"),
            ("    hosts:", "    host:", "f.yaml:7: spec.serviceEntry.host: unknown field (did you mean hosts?)"),
            ("154.224/27", "154.230/27", "f.yaml:8: spec.serviceEntry.addresses[0]: 208.80.154.230/27 has host bits set"),
            ("status: 200", "status: 20", "f.yaml:11: spec.probes[0].expect.status: is no HTTP status"),
            ("  probes:", "  metadata: {}\n  probes:", "f.yaml:10: spec.metadata: unknown field"),
        ],
    )
    def test_a_mistake_has_its_line_and_field(self, old: str, new: str, text: str) -> None:
        assert any(problem.startswith(text) for problem in problems(edited(TARGET, (old, new))))

    @pytest.mark.parametrize(
        ("spec", "field"),
        [
            ("", "spec: the target has no spec"),
            ("spec: {}\n", "spec.serviceEntry: the target has no"),
            ("spec: []\n", "spec: is a list"),
        ],
    )
    def test_a_target_without_an_entry_is_refused(self, spec: str, field: str) -> None:
        (problem,) = problems(TARGET[: TARGET.index("spec:")] + spec)
        assert field in problem


class TestPlainServiceEntry:
    def test_it_keeps_its_own_name_and_namespace(self) -> None:
        found = only(ENTRY)
        assert (found.name, found.entry_name, found.namespace, found.probes) == ("wiki", "wiki", "apps", (DERIVED,))

    @pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
    def test_every_version_that_istio_serves_is_read(self, version: str) -> None:
        assert only(edited(ENTRY, ("istio.io/v1", f"istio.io/{version}"))).name == "wiki"

    def test_probes_come_from_the_annotation(self) -> None:
        annotation = """  annotations: {egressctl.dev/probes: '[{"name":"portal","url":"https://www.wikipedia.org"}]'}\n"""
        found = only(edited(ENTRY, ("  namespace: apps\n", annotation)))
        assert (found.probes, found.annotations) == ((PORTAL,), {})

    def test_the_annotation_can_keep_it_from_being_probed(self) -> None:
        assert only(edited(ENTRY, ("  namespace: apps\n", "  annotations: {egressctl.dev/probes: none}\n"))).probes == ()

    def test_a_broken_annotation_has_its_line(self) -> None:
        text = edited(ENTRY, ("  namespace: apps\n", '  annotations:\n    egressctl.dev/probes: \'[{"url":"ftp://x"}]\'\n'))
        assert problems(text)[0].startswith('f.yaml:6: metadata.annotations[egressctl.dev/probes][0].url: "ftp://x" is neither')

    def test_what_the_api_server_wrote_is_left_out(self) -> None:
        manifest = yaml.safe_load(ENTRY)
        manifest["metadata"] |= {
            "uid": "u",
            "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "generation": 1,
            "managedFields": [{"manager": "kubectl"}],
            "labels": {"team": "a", se.LABEL_MANAGED_BY: "egressctl", se.LABEL_RUN_ID: "r1", se.LABEL_TARGET: "wiki"},
            "annotations": {
                "note": "b",
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
                se.ANNOTATION_FIELD_MANAGER: "ci",
            },
        }
        manifest["status"] = {"addresses": []}
        found = only(json.dumps(manifest))
        assert (found.labels, found.annotations) == ({"team": "a"}, {"note": "b"})

    def test_anothers_mark_of_ownership_stays(self) -> None:
        text = edited(ENTRY, ("  namespace: apps\n", "  labels: {app.kubernetes.io/managed-by: Helm}\n"))
        assert only(text).labels == {se.LABEL_MANAGED_BY: "Helm"}

    def test_what_was_rendered_is_read_again(self) -> None:
        wanted = only(TARGET)
        manifest = se.render_entry(wanted, namespace="apps", api_version=se.OFFLINE_VERSION, run_id="r1", field_manager="ci")
        found = only(write_yaml(manifest))
        assert (found.entry_name, found.namespace, found.probes) == (wanted.entry_name, "apps", wanted.probes)
        assert (found.labels, found.annotations) == ({}, {})
        assert found.spec == {**wanted.spec, "location": "MESH_EXTERNAL", "resolution": "NONE"}

    def test_dots_may_stand_in_its_name(self) -> None:
        assert only(edited(ENTRY, ("name: wiki\n", "name: wiki.v1\n"))).entry_name == "wiki.v1"

    @pytest.mark.parametrize("name", ["A", "a..b", "a_b", "x" * 64])
    def test_other_names_are_refused(self, name: str) -> None:
        assert problems(edited(ENTRY, ("name: wiki\n", f"name: {name}\n")))[0].startswith("f.yaml:4: metadata.name: ")

    @pytest.mark.parametrize(
        ("old", "new", "text"),
        [
            ("hosts:", "host:", "f.yaml:7: spec.host: unknown field (did you mean hosts?)"),
            ("metadata:", "metadta:", "f.yaml:3: metadta: unknown field (did you mean metadata?)"),
            ("  namespace: apps\n", "  lables: {}\n", "f.yaml:5: metadata.lables: unknown field (did you mean labels?)"),
            ("154.224/27", "154", 'f.yaml:8: spec.addresses[0]: "208.80.154" is no address and no block'),
            ("istio.io/v1", "istio.io/v2", 'f.yaml:1: apiVersion: "networking.istio.io/v2" is no version of ServiceEntry'),
        ],
    )
    def test_a_mistake_has_its_line_and_field(self, old: str, new: str, text: str) -> None:
        assert any(problem.startswith(text) for problem in problems(edited(ENTRY, (old, new))))

    def test_one_without_a_spec_is_refused(self) -> None:
        assert "spec: the ServiceEntry has no spec" in problems(ENTRY[: ENTRY.index("spec:")])[0]


class TestSeveralDocuments:
    def test_both_kinds_can_stand_in_one_file(self) -> None:
        assert [t.entry_name for t in load_targets(f"{TARGET}---\n# nothing\n---\n{ENTRY}", "f.yaml")] == [
            "wikipedia-ext",
            "wiki",
        ]

    def test_a_list_of_entries_is_read(self) -> None:
        items = [yaml.safe_load(ENTRY), yaml.safe_load(edited(ENTRY, ("name: wiki\n", "name: other\n")))]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items, "metadata": {}})
        assert [t.name for t in load_targets(text, "f.yaml")] == ["wiki", "other"]

    def test_all_problems_of_all_documents_are_told_at_once_in_their_order(self) -> None:
        text = "---\n".join(
            [
                edited(TARGET, ("154.224/27", "154.230/27"), ("https://www", "ftp://www")),
                edited(ENTRY, ("number: 443", "number: 15001"), ("hosts:", "hosts: []\n  hosts:")),
                "- a\n",
            ]
        )
        assert [problem.split(" (")[0] for problem in problems(text)] == [
            "f.yaml:8: spec.serviceEntry.addresses[0]: 208.80.154.230/27 has host bits set",
            'f.yaml:11: spec.probes[0].url: "ftp://www.wikipedia.org" is neither http, https nor tcp',
            "f.yaml:19: spec.hosts: there is no host",
            "f.yaml:20: spec.hosts: the key is here twice, first on line 19",
            "f.yaml:22: spec.ports[0].number: the sidecar uses port 15001 itself, for its outbound listener",
            "f.yaml:24: the document is a list",
        ]

    def test_one_object_cannot_be_wanted_twice(self) -> None:
        other = edited(ENTRY, ("name: wiki\n", "name: wikipedia-ext\n"), ("  namespace: apps\n", ""))
        assert problems(f"{TARGET}---\n{other}") == [
            "f.yaml:16: metadata.name: the ServiceEntry wikipedia-ext is here twice, first on line 4"
        ]

    def test_one_name_in_two_namespaces_is_two_objects(self) -> None:
        assert len(load_targets(f"{ENTRY}---\n{edited(ENTRY, ('apps', 'more'))}", "f.yaml")) == 2

    @pytest.mark.parametrize(
        "text",
        [
            "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n",
            "apiVersion: apps/v1\nkind: Deployment\n",
            "a: b\n",
            "kind: [x]\n",
        ],
    )
    def test_another_kind_says_what_is_accepted(self, text: str) -> None:
        (problem,) = problems(text)
        assert re.match(r"f\.yaml:[12]: kind: ", problem)
        assert problem.endswith("(accepted are EgressTarget (egressctl.dev/v1alpha1) and ServiceEntry (networking.istio.io/v1))")

    @examples(150)
    @given(
        st.sampled_from(TARGET.splitlines() + ENTRY.splitlines() + ["---", "  labels:", "metadata: [1]", "spec: 3"]).flatmap(
            lambda first: st.lists(st.sampled_from(TARGET.splitlines() + ENTRY.splitlines() + ["---"]), max_size=14).map(
                lambda rest: "\n".join([first, *rest])
            )
        )
    )
    def test_any_arrangement_of_lines_gives_targets_or_invalid_input(self, text: str) -> None:
        try:
            found = load_targets(text, "f.yaml")
        except InvalidInput:
            return
        assert all(t.name and t.spec["hosts"] for t in found)


class TestFromFlags:
    def flags(self, name: str = "wiki", **changes: Any) -> Target:
        given: dict[str, Any] = {"hosts": ["wikipedia.org"], "addresses": ["208.80.154.224/27"], "ports": ["443"]}
        return target_from_flags(name, **(given | changes))

    def problems(self, name: str = "wiki", **changes: Any) -> list[str]:
        with pytest.raises(InvalidInput) as caught:
            self.flags(name, **changes)
        assert {problem.line for problem in caught.value.problems} == {None}
        return [str(problem) for problem in caught.value.problems]

    def test_flags_make_a_target(self) -> None:
        assert self.flags() == Target(
            name="wiki",
            entry_name="wiki-ext",
            namespace=None,
            spec={
                "hosts": ["wikipedia.org"],
                "addresses": ["208.80.154.224/27"],
                "ports": [{"number": 443, "name": "tcp-443", "protocol": "TCP"}],
                "location": "MESH_EXTERNAL",
                "resolution": "NONE",
            },
            probes=(Probe("tcp-443", "https://wikipedia.org", Expectation(status=None)),),
        )

    def test_more_addresses_than_an_entry_holds_make_several_of_it(self) -> None:
        found = self.flags(addresses=MANY)
        assert found.spec["addresses"] == MANY
        assert [each.entry_name for each in split_large_targets([found, self.flags("one")])] == [
            *("wiki-ext-1-2-0-17", "wiki-ext-1-2-128-17"),
            "one-ext",
        ]

    def test_the_name_of_such_a_target_leaves_room_for_theirs(self) -> None:
        assert self.flags("w" * 40, addresses=MANY).name == "w" * 40
        assert self.problems("w" * 41, addresses=MANY) == [
            f'TARGET: "{"w" * 41}" is too long for a target of 257 addresses, whose several entries are called after it '
            "(at most 40 characters)"
        ]
        assert self.flags("w" * 41, addresses=MANY[1:]).name == "w" * 41

    def test_addresses_may_be_repeated_or_stand_with_commas(self) -> None:
        assert self.flags(addresses=["1.2.3.4,5.6.7.8", "9.9.9.9"]).spec["addresses"] == ["1.2.3.4", "5.6.7.8", "9.9.9.9"]

    @pytest.mark.parametrize(
        ("text", "number", "protocol", "name"),
        [
            ("443", 443, "TCP", "tcp-443"),
            ("443/TLS", 443, "TLS", "tls-443"),
            ("443:tcp-port", 443, "TCP", "tcp-port"),
            ("443/tcp:x", 443, "TCP", "x"),
            ("8080/grpc-web", 8080, "GRPC-WEB", "grpc-web-8080"),
            ("3128/http_proxy", 3128, "HTTP_PROXY", "http-proxy-3128"),
        ],
    )
    def test_ports_say_number_protocol_and_name(self, text: str, number: int, protocol: str, name: str) -> None:
        assert self.flags(ports=[text]).spec["ports"] == [{"number": number, "name": name, "protocol": protocol}]

    @pytest.mark.parametrize("text", ["", "x", "443/", "/TCP", "443TCP", "443-445", "-1", "443/TCP/x", "4 43"])
    def test_what_is_no_port_is_refused(self, text: str) -> None:
        assert len(self.problems(ports=[text])) == 1
        assert self.problems(ports=[text])[0].endswith("is no port (write 443, 443/TLS or 443/TCP:tcp-port)")

    def test_resolution_location_and_exports_are_taken(self) -> None:
        spec = self.flags(resolution="static", location="mesh_internal", export_to=["apps,more", "."]).spec
        assert (spec["resolution"], spec["location"], spec["exportTo"]) == ("STATIC", "MESH_INTERNAL", ["apps", "more", "."])

    def test_probes_are_named_after_their_hosts(self) -> None:
        found = self.flags(probes=["https://www.a.example", "https://www.a.example/2"]).probes
        assert found == (Probe("www-a-example", "https://www.a.example"), Probe("www-a-example-2", "https://www.a.example/2"))

    def test_all_problems_name_their_flag(self) -> None:
        found = self.problems(
            "A",
            hosts=["a_b"],
            addresses=["1.2.3.4/8,", "x"],
            ports=["443:a_b", "q"],
            resolution="any",
            location="x",
            export_to=["a/b"],
            probes=["ftp://x"],
        )
        flags = "--port TARGET --probe --host --address --address --address --port --location --resolution --export-to"
        assert [problem.split(":")[0] for problem in found] == flags.split()

    @pytest.mark.parametrize(("changes", "flag"), [({"hosts": []}, "--host"), ({"ports": []}, "--port")])
    def test_host_and_port_are_needed(self, changes: dict[str, Any], flag: str) -> None:
        (problem,) = self.problems(**changes)
        assert problem.startswith(f"{flag}: there is no ")

    def test_a_tcp_port_for_every_address_needs_a_word(self) -> None:
        assert "--any-address" in self.problems(addresses=[])[0]
        assert "addresses" not in self.flags(addresses=[], any_address=True).spec

    def test_an_internal_probe_needs_a_word(self) -> None:
        assert "--allow-internal" in self.problems(probes=["http://localhost"])[0]
        assert self.flags(probes=["http://localhost"], allow_internal=True).probes[0].host == "localhost"

    @examples(60)
    @given(st.sampled_from([*range(1, 15000), *range(15091, 65536)]), st.sampled_from(["TCP", "tls", "Http", "grpc"]))
    def test_what_flags_make_is_read_again_as_a_file(self, number: int, protocol: str) -> None:
        wanted = self.flags(ports=[f"{number}/{protocol}"])
        manifest = se.render_entry(wanted, namespace=None, api_version=se.OFFLINE_VERSION, run_id=None)
        found = only(write_yaml(manifest))
        assert (found.spec, found.probes, found.entry_name) == (wanted.spec, wanted.probes, wanted.entry_name)


class TestFromHost:
    def made(self, word: str, **options: Any) -> Target:
        typed = read_typed_host(word)
        assert typed is not None
        return target_from_host(typed, **options)

    @pytest.mark.parametrize(
        ("word", "name", "port", "protocol"),
        [
            ("api.example.com", "api-example-com", 443, "TLS"),
            ("http://api.example.com", "api-example-com-80", 80, "HTTP"),
            ("api.example.com:8443/TLS", "api-example-com-8443", 8443, "TLS"),
            ("tcp://db.example.com:5432", "db-example-com-5432", 5432, "TCP"),
        ],
    )
    def test_a_host_makes_a_target_by_name(self, word: str, name: str, port: int, protocol: str) -> None:
        made = self.made(word)
        [only_port] = made.spec["ports"]
        assert (made.name, made.spec["resolution"]) == (name, "DNS")
        assert (only_port["number"], only_port["protocol"]) == (port, protocol)
        assert "addresses" not in made.spec

    def test_a_wildcard_is_resolved_by_nobody(self) -> None:
        made = self.made("*.example.com")
        assert (made.spec["hosts"], made.spec["resolution"]) == (["*.example.com"], "NONE")

    def test_a_wildcard_on_a_tcp_port_would_open_it_to_every_address(self) -> None:
        with pytest.raises(InvalidInput, match="opens port 5432 to every address"):
            self.made("*.example.com:5432/TCP")
        assert self.made("*.example.com:5432/TCP", any_address=True).spec["resolution"] == "NONE"

    @pytest.mark.parametrize(
        ("word", "line"),
        [
            (
                "db.example.com:5432",
                "egressctl create db.example.com:5432/TLS, db.example.com:5432/HTTP, or db.example.com:5432/TCP",
            ),
        ],
    )
    def test_where_it_cannot_be_known_the_line_to_type_is_told(self, word: str, line: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            self.made(word)
        assert refused.value.hint.startswith(line)

    @pytest.mark.parametrize(
        ("word", "name", "address", "port", "url"),
        [
            ("192.0.2.7", "host-192-0-2-7", "192.0.2.7", "443/TCP", "https://192.0.2.7"),
            ("https://192.0.2.7/v1", "host-192-0-2-7", "192.0.2.7", "443/TCP", "https://192.0.2.7/v1"),
            ("https://[2001:DB8::7]/", "host-2001-db8-7", "2001:db8::7", "443/TCP", "https://[2001:DB8::7]/"),
            ("http://[2001:db8::7]:8080", "host-2001-db8-7-8080", "2001:db8::7", "8080/TCP", "http://[2001:db8::7]:8080"),
            ("2001:db8::7", "host-2001-db8-7", "2001:db8::7", "443/TCP", "https://[2001:db8::7]"),
            ("[2001:db8::7]:5432", "host-2001-db8-7-5432", "2001:db8::7", "5432/TCP", "tcp://[2001:db8::7]:5432"),
            ("192.0.2.7:8080/HTTP", "host-192-0-2-7-8080", "192.0.2.7", "8080/HTTP", "http://192.0.2.7:8080"),
        ],
    )
    def test_an_address_makes_a_target_by_address(self, word: str, name: str, address: str, port: str, url: str) -> None:
        made = self.made(word)
        [only_port] = made.spec["ports"]
        assert (made.name, made.spec["hosts"], made.spec["addresses"]) == (name, [f"{name}.example"], [address])
        assert (f"{only_port['number']}/{only_port['protocol']}", made.spec["resolution"]) == (port, "NONE")
        assert [(probe.url, probe.expect.status) for probe in made.probes] == [(url, None)]
        assert [probe.url for probe in self.made(word, probes=["https://a.example"]).probes] == ["https://a.example"]

    def test_an_address_of_the_pod_itself_is_no_egress(self) -> None:
        with pytest.raises(InvalidInput, match="leads to the pod itself, its node or the Kubernetes cluster"):
            self.made("https://[::1]/")

    def test_a_host_of_the_kubernetes_cluster_is_no_egress(self) -> None:
        with pytest.raises(InvalidInput, match="leads to the pod itself, its node or the Kubernetes cluster"):
            self.made("reviews.shop.svc.cluster.local")

    def test_the_path_of_a_url_is_what_proves_it(self) -> None:
        [probe] = self.made("https://api.example.com/health").probes
        assert (probe.url, probe.expect.status) == ("https://api.example.com/health", None)
        assert [each.url for each in self.made("https://api.example.com/").probes] == ["https://api.example.com"]


READABLE = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db}
spec:
  hosts: [db.example]
  addresses: [192.0.2.0/24]
  ports: [{number: 5432, name: pg, protocol: TCP}]
  resolution: NONE
"""


class TestOnlyRead:
    """What `verify` takes of files: whatever can be read."""

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("addresses: [192.0.2.0/24]", "addresses: []"),
            ("addresses: [192.0.2.0/24]", 'addresses: ["::ffff:192.0.2.7"]'),
            ("addresses: [192.0.2.0/24]", "addresses: [192.0.2.1/24, nonsense]"),
            ("resolution: NONE", "resolution: SOMETIMES"),
            ("protocol: TCP", "protocol: CARRIER-PIGEON"),
        ],
    )
    def test_what_lint_or_istio_would_refuse_is_taken(self, old: str, new: str) -> None:
        text = edited(READABLE, (old, new))
        assert problems(text)
        assert [target.name for target in load_targets(text, "f.yaml", only_read=True)] == ["db"]

    @pytest.mark.parametrize(
        ("old", "new", "told"),
        [
            ("hosts: [db.example]", "hosts: []", "there is no host"),
            ("hosts: [db.example]", "hosts: db.example", "spec.hosts: is"),
            ("ports: [{number: 5432, name: pg, protocol: TCP}]", "ports: []", "there is no port"),
            ("addresses: [192.0.2.0/24]", "addresses: 5", "spec.addresses: is the number 5"),
            ("kind: ServiceEntry", "kind: Service", "no kind of a target"),
        ],
    )
    def test_what_cannot_be_read_is_not(self, old: str, new: str, told: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            load_targets(edited(READABLE, (old, new)), "f.yaml", only_read=True)
        assert told in str(refused.value)

    @examples(100)
    @given(JSON)
    def test_whatever_stands_in_the_spec_it_is_a_target_or_invalid_input(self, value: object) -> None:
        for name in ("hosts", "addresses", "ports", "endpoints", "resolution", "exportTo"):
            manifest = yaml.safe_load(READABLE)
            manifest["spec"][name] = value
            with suppress(InvalidInput):
                [target] = load_targets(json.dumps(manifest), "f.yaml", only_read=True)
                verify_target_for(target, "default", None)
