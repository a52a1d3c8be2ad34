"""From the words of the command line to what is asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from egressctl.errors import InvalidInput
from egressctl.verify.explain.explain import ReadableEntries, questions

URL = "https://www.wikipedia.org"


def manifest(name: str, namespace: str = "default", **annotations: str) -> dict[str, Any]:
    ports = [{"number": 443, "name": "tcp", "protocol": "TCP"}]
    spec = {"hosts": ["example.org"], "addresses": ["192.0.2.0/24"], "ports": ports, "resolution": "NONE"}
    metadata = {"name": name, "namespace": namespace, "annotations": annotations}
    return {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": metadata, "spec": spec}


def asked(*words: str, known: ReadableEntries | None = None) -> list[tuple[str, str, str]]:
    known = known or ReadableEntries((manifest("example-ext"), manifest("example"), manifest("far", "other")))
    return [
        (each.probe.url, each.entry_name, str(each.entry) if each.entry else "") for each in questions(words, known, "default")
    ]


def test_a_url_is_asked_for_by_itself() -> None:
    assert asked(URL, "http://10.96.0.1:8080/path") == [(URL, "", ""), ("http://10.96.0.1:8080/path", "", "")]


@pytest.mark.parametrize(
    ("word", "entry"),
    [("example", "example-ext"), ("serviceentry/example", "example"), ("se/example-ext", "example-ext")],
)
def test_a_target_stands_for_its_probes_and_its_entry(word: str, entry: str) -> None:
    assert asked(word) == [("https://example.org", entry, f"default/{entry}")]


def test_a_host_stands_for_the_entry_that_was_made_of_it_and_of_no_other() -> None:
    made = manifest("one-two-example-ext")
    made["spec"]["hosts"] = ["one.two.example"]
    known = ReadableEntries((made,))
    assert asked("one.two.example", known=known) == [
        ("https://one.two.example", "one-two-example-ext", "default/one-two-example-ext")
    ]
    assert asked("one-two.example", known=known) == [("https://one-two.example", "", "")]


def test_the_annotations_probes_go_before_derived_ones() -> None:
    known = ReadableEntries((manifest("example", **{"egressctl.dev/probes": json.dumps([{"name": "p", "url": URL}])}),))
    assert asked("example", known=known) == [(URL, "example", "default/example")]


def test_a_target_of_the_catalogue_need_not_be_there() -> None:
    assert {(entry, there) for _, entry, there in asked("wikipedia")} == {("wikipedia-ext", "")}


@pytest.mark.parametrize(
    ("word", "said", "hint"),
    [
        ("far", "no ServiceEntry far-ext or far in namespace default", "https://far"),
        ("*.wikipedia.org", "names no host that can be asked", "www.wikipedia.org"),
        ("wikipedi", "did you mean wikipedia?", "https://"),
        ("se/wikipedia", "no ServiceEntry wikipedia in namespace default", "https://"),
        ("ftp://x.example", "", ""),
        ("https://user:pw@x.example", "", ""),
    ],
)
def test_what_is_neither_is_refused(word: str, said: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        asked(word)
    assert said in str(refused.value)
    assert hint in refused.value.hint


def test_a_target_that_is_not_to_be_probed_has_no_way() -> None:
    with pytest.raises(InvalidInput) as refused:
        asked("example", known=ReadableEntries((manifest("example", **{"egressctl.dev/probes": "none"}),)))
    assert "has no probe" in str(refused.value)


def test_where_no_entry_may_be_read_that_is_said() -> None:
    with pytest.raises(InvalidInput) as refused:
        asked("example", known=ReadableEntries(None, "no right"))
    assert "there is no ServiceEntry example-ext or example that may be read" in str(refused.value)
