"""What a word on the command line of `cleanup` may name."""

from __future__ import annotations

from typing import Any

import pytest

from egressctl.lifecycle.choose import _join_kinds, _Name, _opens, _read_names, target_and_entry_name
from egressctl.manifests.typed_host import read_typed_host


@pytest.mark.parametrize("kind", ["serviceentry", "serviceentries", "se", "serviceentry.networking.istio.io", "ServiceEntry"])
def test_a_word_with_its_kind_is_exactly_one_entry(kind: str) -> None:
    assert _read_names("web", f"{kind}/wikipedia-ext", ()) == [_Name("web", "wikipedia-ext", exact=True)]
    assert _read_names("web", f"{kind}/shop/wikipedia-ext", ()) == [_Name("shop", "wikipedia-ext", exact=True)]


@pytest.mark.parametrize(
    ("words", "joined"),
    [
        ("serviceentry wikipedia-ext", "serviceentry/wikipedia-ext"),
        ("ServiceEntry shop/wikipedia-ext", "ServiceEntry/shop/wikipedia-ext"),
        ("wikipedia se a-ext se b-ext", "wikipedia se/a-ext se/b-ext"),
        ("wikipedia stripe", "wikipedia stripe"),
        ("se", "se"),
    ],
)
def test_a_kind_and_a_name_may_be_two_words(words: str, joined: str) -> None:
    assert _join_kinds(words.split()) == joined.split()


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("wikipedia", [_Name("web", "wikipedia")]),
        ("shop/wikipedia", [_Name("web", "shop-wikipedia"), _Name("shop", "wikipedia")]),
        ("aws/s3/eu-west-1", [_Name("web", "aws-s3-eu-west-1")]),
        ("aws/s3", [_Name("web", "aws-s3")]),  # of the catalogue's family, not of a namespace
        ("api.example.com", [_Name("web", "api.example.com")]),
        ("api.example.com/path", [_Name("web", "api.example.com-path")]),  # no namespace has a dot
        ("dir/targets.yaml", [_Name("web", "dir-targets.yaml"), _Name("dir", "targets.yaml")]),
    ],
)
def test_a_bare_word_is_a_name_here_or_with_its_namespace(word: str, names: list[_Name]) -> None:
    assert _read_names("web", word, ()) == names


def entry(name: str, target: str = "", hosts: tuple[str, ...] = (), ports: tuple[int, ...] = ()) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "web", "labels": {"egressctl.dev/target": target} if target else {}},
        "spec": {"hosts": list(hosts), "ports": [{"number": port, "name": f"p-{port}"} for port in ports]},
    }


def test_a_person_may_name_the_target_or_the_entry() -> None:
    assert target_and_entry_name(entry("wikipedia-ext", "wikipedia")) == ("wikipedia", "wikipedia-ext")
    assert target_and_entry_name(entry("wikipedia-ext")) == ("", "wikipedia-ext")


@pytest.mark.parametrize(
    ("name", "means"),
    [
        (_Name("web", "wikipedia"), True),
        (_Name("web", "wikipedia-ext"), True),
        (_Name("web", "wikipedia-ext", exact=True), True),
        (_Name("web", "wikipedia", exact=True), False),
        (_Name("web", "wiki"), False),
        (_Name("web", ""), False),
    ],
)
def test_an_exact_name_is_no_targets(name: _Name, means: bool) -> None:
    assert name.means(entry("wikipedia-ext", "wikipedia")) is means


def test_no_name_means_an_entry_without_a_target() -> None:
    assert not _Name("web", "").means(entry("wikipedia-ext"))


@pytest.mark.parametrize(
    ("word", "opens"),
    [
        ("api.example.com", True),
        ("API.example.com", True),
        ("api.example.com:443", True),
        ("https://api.example.com/v1", True),
        ("tcp://api.example.com:5432", True),
        ("api.example.com:5432/TCP", True),
        ("http://api.example.com", False),  # port 80
        ("api.example.com:8443", False),
        ("example.com", False),
        ("*.example.com", False),
    ],
)
def test_a_host_is_opened_by_an_entry_that_lists_it_on_the_port(word: str, opens: bool) -> None:
    typed = read_typed_host(word)
    assert typed
    assert _opens(entry("x", hosts=("api.example.com", "b.example"), ports=(443, 5432)), typed) is opens
