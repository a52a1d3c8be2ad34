"""What a word means where a target may stand: a host with its port and protocol, or none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.errors import InvalidInput
from egressctl.manifests.formats import is_label
from egressctl.manifests.probes import url_fault
from egressctl.manifests.typed_host import TypedHost, is_file_word, read_typed_host, words_to_create


@pytest.mark.parametrize(
    ("word", "host", "port", "protocol"),
    [
        ("api.example.com", "api.example.com", 443, "TLS"),
        ("API.Example.com:443", "api.example.com", 443, "TLS"),
        ("api.example.com:80", "api.example.com", 80, "HTTP"),
        ("api.example.com:8443/TLS", "api.example.com", 8443, "TLS"),
        ("db.example.com:5432/tcp", "db.example.com", 5432, "TCP"),
        ("api.example.com/HTTP", "api.example.com", 80, "HTTP"),
        ("*.example.com", "*.example.com", 443, "TLS"),
        ("https://api.example.com/v1?x=1", "api.example.com", 443, "TLS"),
        ("http://api.example.com:8080", "api.example.com", 8080, "HTTP"),
        ("tcp://db.example.com:5432", "db.example.com", 5432, "TCP"),
        ("192.0.2.7:443", "192.0.2.7", 443, "TLS"),
        ("[2001:db8::7]:443", "[2001:db8::7]", 443, "TLS"),
        ("[2001:db8::7]:5432/TCP", "[2001:db8::7]", 5432, "TCP"),
        ("2001:DB8::7", "[2001:db8::7]", 443, "TLS"),
        ("https://[2001:db8::7]/a", "[2001:db8::7]", 443, "TLS"),
        ("tcp://[2001:db8::7]:25", "[2001:db8::7]", 25, "TCP"),
    ],
)
def test_a_host_says_its_port_and_the_port_what_is_safe_there(word: str, host: str, port: int, protocol: str) -> None:
    typed = read_typed_host(word)
    assert typed is not None
    assert (typed.host, typed.known_port, typed.known_protocol) == (host, port, protocol)


def test_of_any_other_port_nobody_knows_what_it_carries() -> None:
    typed = read_typed_host("db.example.com:5432")
    assert typed == TypedHost("db.example.com", 5432)
    assert (typed.known_protocol, typed.probe_url) == ("", "tcp://db.example.com:5432")


@pytest.mark.parametrize(
    "word",
    [
        "wikipedia",
        "aws/s3/eu-west-1",
        "serviceentry/api",
        "targets.yaml",
        "./shop/targets.yml",
        "my.folder/entry.json",
        "localhost",
    ],
)
def test_a_name_and_a_file_are_no_hosts(word: str) -> None:
    assert read_typed_host(word) is None


def test_a_file_has_a_slash_or_ends_like_one() -> None:
    assert [is_file_word(each) for each in ("targets.yaml", "a.yml", "a.json", "folder/wiki", "wikipedia")] == [True] * 4 + [
        False
    ]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("ftp://x.example", '"ftp://x.example": there is no such scheme'),
        ("tcp://x.example:0", "names no port"),
        ("tcp://x.example:70000", "70000 is no port number"),
        ("mysql://", "names no host"),
        ("x.example:0", "0 is no port number"),
        ("x.example:70000", "70000 is no port number"),
        ("x.example:8080/QUIC", 'no protocol "QUIC"'),
        ("tcp://x.example", "names no port"),
    ],
)
def test_what_there_is_not_is_refused(word: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        read_typed_host(word)


@pytest.mark.parametrize(
    ("word", "url"),
    [
        ("api.example.com", "https://api.example.com"),
        ("api.example.com:80", "http://api.example.com"),
        ("api.example.com:8443/TLS", "https://api.example.com:8443"),
        ("api.example.com/v1/health", "https://api.example.com/v1/health"),
        ("api.example.com:80/index", "http://api.example.com:80/index"),
        ("https://api.example.com/", "https://api.example.com/"),
    ],
)
def test_a_host_is_asked_by_a_url(word: str, url: str) -> None:
    typed = read_typed_host(word)
    assert typed is not None
    assert typed.probe_url == url


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("api.example.com", "api-example-com"),
        ("api.example.com:80", "api-example-com-80"),
        ("db.example.com:5432/TCP", "db-example-com-5432"),
        ("*.example.com", "any-example-com"),
    ],
)
def test_its_target_is_called_after_it(word: str, name: str) -> None:
    typed = read_typed_host(word)
    assert typed is not None
    assert typed.target_name == name


_LABELS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)


@given(st.lists(_LABELS, min_size=2, max_size=8), st.integers(1, 65535))
def test_every_host_gives_a_name_that_an_entry_can_have(labels: list[str], port: int) -> None:
    host = TypedHost(".".join(labels), port)
    assert is_label(f"{host.target_name}-ext")


@pytest.mark.parametrize(
    ("word", "url"),
    [
        ("postgres://shop:s3cret@db.example.com/orders?sslmode=require", "tcp://db.example.com:5432"),
        ("mongodb://a.example.com:27018,b.example.com/x", "tcp://a.example.com:27018"),
        ("redis://cache.example.com:6380", "tcp://cache.example.com:6380"),
        ("wss://push.example.com/feed", "https://push.example.com/feed"),
    ],
)
def test_an_address_is_taken_as_an_application_has_it(word: str, url: str) -> None:
    typed = read_typed_host(word)
    assert typed is not None
    assert typed.probe_url == url


def test_a_password_is_never_told() -> None:
    with pytest.raises(InvalidInput) as refused:
        read_typed_host("ftp://user:s3cret@files.example.com/x")
    assert "s3cret" not in f"{refused.value} {refused.value.hint}"


def test_long_hosts_do_not_share_a_name() -> None:
    long = "a" * 60
    assert TypedHost(f"{long}.one.example").target_name != TypedHost(f"{long}.two.example").target_name


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://api.example.com/x", "api.example.com"),
        ("http://api.example.com", "api.example.com:80"),
        ("https://api.example.com:8443", "api.example.com:8443/TLS"),
        ("tcp://db.example.com:5432", "db.example.com:5432/TCP"),
        ("https://192.0.2.7", "host-192-0-2-7 --host host-192-0-2-7.example --address 192.0.2.7 --port 443/TCP"),
    ],
)
def test_a_probe_says_what_to_type_so_that_it_is_served(url: str, words: str) -> None:
    assert words_to_create(url) == words


@given(st.text(max_size=40))
def test_no_word_breaks_the_reader(word: str) -> None:
    try:
        typed = read_typed_host(word)
    except InvalidInput:
        return
    if typed is not None:
        url_fault(typed.probe_url)  # what is wrong with it, if anything, is said there
