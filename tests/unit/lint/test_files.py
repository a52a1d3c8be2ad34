"""Manifests of files, held against each other: what is found, and at which line of which file."""

from __future__ import annotations

from typing import Any

import pytest

from egressctl.errors import InvalidInput
from egressctl.lint.files import lint_files
from egressctl.lint.manifest_files import manifests_of_texts
from egressctl.lint.rule import Finding, LintResult, parse_rule_names, select_findings


def manifest(name: str, namespace: str = "shop", kind: str = "ServiceEntry", **spec: Any) -> str:
    """One document, with its address in line 7 and its port in line 9 unless `spec` says otherwise."""
    fields = {
        "hosts": f"[{name}.example]",
        "addresses": "\n  - 198.51.100.0/28",
        "ports": "\n  - {number: 443, name: p, protocol: TCP}",
        "resolution": "NONE",
        "exportTo": '["."]',
        **spec,
    }
    where = f"{{name: {name}, namespace: {namespace}}}" if namespace else f"{{name: {name}}}"
    lines = [f"apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {where}\nspec:"]
    return "\n".join([*lines, *(f"  {key}: {value}" for key, value in fields.items() if value)]) + "\n"


def other(kind: str, name: str, spec: str, namespace: str = "shop") -> str:
    about = f"metadata: {{name: {name}, namespace: {namespace}}}"
    return f"apiVersion: networking.istio.io/v1\nkind: {kind}\n{about}\nspec: {spec}\n"


def linted(namespace: str = "default", **texts: str) -> LintResult:
    return lint_files(manifests_of_texts({f"{name}.yaml": text for name, text in texts.items()}), namespace, lambda entries: ())


def found(namespace: str = "default", **texts: str) -> list[tuple[str, str, int | None]]:
    """Findings of egressctl's own rules: rule, file and line."""
    return [(each.rule, each.file, each.line) for each in linted(namespace, **texts).findings if each.origin == "egressctl"]


def test_entries_that_keep_out_of_each_other_s_way() -> None:
    result = linted(a=manifest("a"), b=manifest("b", addresses="[203.0.113.0/28]"))
    assert (result.findings, result.entries, result.files) == ((), 2, 2)


def test_rivals_are_found_across_files_and_within_one() -> None:
    across = found(a=manifest("a"), b=manifest("b"))
    assert across == [("same-block", "a.yaml", 7), ("same-block", "b.yaml", 7)]
    within = found(a=manifest("a") + "---\n" + manifest("b"))
    assert within == [("same-block", "a.yaml", 7), ("same-block", "a.yaml", 19)]


def test_a_finding_about_another_object_says_where_that_stands() -> None:
    first, second = linted(a=manifest("a"), b=manifest("b")).findings
    assert (first.hint, second.hint) == ("it is at b.yaml:3", "it is at a.yaml:3")
    assert (str(first.about), first.where) == ("ServiceEntry shop/b", "shop/a")


def test_a_document_without_a_namespace_is_in_that_of_the_command_line() -> None:
    assert found(a=manifest("a", namespace=""), b=manifest("b")) == []
    assert found("shop", a=manifest("a", namespace=""), b=manifest("b")) != []


def test_the_line_is_that_of_what_is_wrong() -> None:
    wrong = manifest("a", addresses="\n  - 203.0.113.0/28\n  - 198.51.100.7/28", exportTo=None)
    assert found(a=wrong) == [("exported-everywhere", "a.yaml", 4), ("host-bits", "a.yaml", 8)]


def test_one_object_in_two_files_is_told_and_not_its_own_rival() -> None:
    assert found(base=manifest("a"), overlay=manifest("a")) == [("duplicate-object", "overlay.yaml", 3)]


def test_a_target_is_held_to_its_own_rules_and_against_the_entries_beside_it() -> None:
    target = """apiVersion: egressctl.dev/v1alpha1
kind: EgressTarget
metadata: {name: t, namespace: shop}
spec:
  serviceEntry:
    hosts: [t.example]
    addresses:
    - 198.51.100.0/24
    ports: [{number: 443, name: p, protocol: TCP}]
    exportTo: ["."]
"""
    assert found(a=manifest("a"), t=target) == [("overlapping-blocks", "a.yaml", 7), ("overlapping-blocks", "t.yaml", 8)]
    wrong = target.replace("198.51.100.0/24", "198.51.100.7/24")
    assert found(a=manifest("a"), t=wrong) == [("invalid-input", "t.yaml", 8)]


def test_a_target_may_open_a_whole_port_where_that_is_asked_for() -> None:
    text = """apiVersion: egressctl.dev/v1alpha1
kind: EgressTarget
metadata: {name: t}
spec: {serviceEntry: {hosts: [t.example], ports: [{number: 443, name: p, protocol: TCP}], exportTo: ["."]}}
"""
    rules = [
        {
            each.rule
            for each in lint_files(manifests_of_texts({"t.yaml": text}), "shop", lambda _: (), any_address=allowed).findings
        }
        for allowed in (False, True)
    ]
    assert rules == [{"invalid-input"}, {"opens-whole-port"}]


EXACT = "{egress: [{hosts: [shop/a.example, istio-system/b.example]}]}"
TWO_BLOCKS = manifest("a", addresses="[198.51.100.0/28, 203.0.113.0/28]", exportTo='["*"]')


@pytest.mark.parametrize("namespace", ["shop", "reports"])
def test_a_sidecar_that_names_the_exact_host_keeps_one_block_for_whichever_pods_it_is(namespace: str) -> None:
    result = linted(a=TWO_BLOCKS, s=other("Sidecar", "default", EXACT, namespace))
    [finding] = result.findings
    assert (finding.rule, finding.file, finding.line) == ("one-block-kept", "a.yaml", 3)
    assert finding.hint == 'write "*/a.example" among its egress hosts: it is at s.yaml:3'


def test_a_sidecar_of_another_namespace_may_leave_an_entry_out() -> None:
    narrow = other("Sidecar", "default", "{egress: [{hosts: [./*]}]}", "reports")
    assert found(a=TWO_BLOCKS, s=narrow) == []
    assert found(a=manifest("a"), s=narrow.replace("reports", "shop").replace("./*", "reports/*")) == [
        ("hidden-by-sidecar", "a.yaml", 3)
    ]


def test_routes_and_tls_settings_that_name_a_host_are_found() -> None:
    elsewhere = "[{route: [{destination: {host: other.example}}]}]"
    route = other("VirtualService", "detour", f"{{hosts: ['*.example'], tcp: {elsewhere}}}")
    rule = other("DestinationRule", "twice", "{host: a.example, trafficPolicy: {tls: {mode: SIMPLE}}}")
    unrelated = other("VirtualService", "x", f"{{hosts: [b.test], tcp: {elsewhere}}}")
    assert found(a=manifest("a"), r=route, d=rule, u=unrelated) == [
        ("rerouted", "a.yaml", 3),
        ("wrapped-in-tls", "a.yaml", 3),
    ]


def test_what_a_destination_rule_wraps_in_tls_does_not_go_in_the_clear() -> None:
    http = manifest("a", addresses=None, ports="[{number: 80, name: http, protocol: HTTP}]")
    rule = other("DestinationRule", "origination", "{host: a.example, trafficPolicy: {tls: {mode: SIMPLE}}}")
    assert [each[0] for each in found(a=http)] == ["cleartext-port"]
    assert found(a=http, d=rule) == []


def test_a_comment_in_a_file_hides_what_it_names_and_nothing_else() -> None:
    quiet = manifest("a", addresses="\n  - 198.51.100.7/28  # egressctl: ignore=same-block")
    assert found(a=quiet, b=manifest("b")) == [("host-bits", "a.yaml", 7), ("same-block", "b.yaml", 7)]


def test_of_very_many_rivals_three_are_told_of_an_entry_and_the_others_counted() -> None:
    result = linted(all="---\n".join(manifest(f"e{n}") for n in range(50)))
    first = [each.message for each in result.findings if each.where == "shop/e0"]
    assert len(first) == 4
    assert first[-1] == "46 more entries compete with it, and are not shown here"


def test_a_crowd_is_told_once_at_the_entry_with_the_most() -> None:
    def blocks(first: int, count: int) -> str:
        return "".join(f"\n  - 10.{(first + n) // 256}.{(first + n) % 256}.0/24" for n in range(count))

    sizes = {"a": (0, 250), "b": (250, 250), "c": (500, 251), "d": (751, 249)}
    result = linted(**{name: manifest(name, addresses=blocks(*size)) for name, size in sizes.items()})
    [finding] = result.findings
    assert (finding.rule, finding.file, finding.line) == ("crowded-port", "c.yaml", 6 + 251 + 2)


@pytest.mark.parametrize(
    "text",
    [
        "kind: ServiceEntry\n",
        "kind: ServiceEntry\nmetadata: 7\nspec: []\n",
        "kind: ServiceEntry\nmetadata: {name: [], namespace: {}, annotations: no}\nspec: {hosts: a, addresses: {}, ports: [7]}\n",
        "kind: ServiceEntry\nspec: {hosts: [7, null], addresses: [true], ports: [{number: x}], exportTo: a}\n",
        "kind: EgressTarget\nspec: 7\n",
        other("Sidecar", "s", "{egress: [7, {hosts: 7}, {hosts: [7]}]}"),
        other("VirtualService", "v", "{hosts: 7, tcp: {}}"),
        other("DestinationRule", "d", "{host: 7, trafficPolicy: []}"),
        "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: []\nspec: 7\n",
    ],
)
def test_whatever_stands_in_a_manifest_the_others_are_linted(text: str) -> None:
    assert ("host-bits", "b.yaml", 7) in found(a=text, b=manifest("b", addresses="\n  - 203.0.113.7/28"))


# Which rules are told


def test_rules_are_chosen_by_name() -> None:
    findings = [Finding(rule, "", "") for rule in ("same-block", "host-bits", "invalid-yaml")]

    def names(select: list[str], ignore: list[str]) -> list[str]:
        return [
            each.rule
            for each in select_findings(findings, parse_rule_names(select, "--select"), parse_rule_names(ignore, "--ignore"))
        ]

    assert names([], []) == ["same-block", "host-bits", "invalid-yaml"]
    assert names(["host-bits"], []) == ["host-bits", "invalid-yaml"]  # of what cannot be read nothing is known
    assert names(["host-bits,same-block"], ["same-block, invalid-yaml"]) == ["host-bits"]


def test_a_rule_that_does_not_exist_is_refused_with_the_near_ones() -> None:
    with pytest.raises(InvalidInput, match='--ignore: lint has no rule "same-blocks"') as refused:
        parse_rule_names(["host-bits", "same-blocks"], "--ignore")
    assert refused.value.hint.startswith("did you mean same-block")
    with pytest.raises(InvalidInput) as unlike:
        parse_rule_names(["xyzzy"], "--select")
    assert unlike.value.hint == "docs/rules/index.md lists them"
