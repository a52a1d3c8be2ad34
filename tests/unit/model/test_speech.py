"""What curl sends for a probe's URL, as far as a sidecar looks at it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.model.probe import Expectation, Probe, Speech


def speech(url: str, status: int | None = 200) -> Speech:
    return Probe("any", url, Expectation(status=status)).speech


@pytest.mark.parametrize(
    ("url", "server_name"),
    [
        ("https://www.wikipedia.org", "www.wikipedia.org"),
        ("https://WWW.Wikipedia.org/wiki/Main_Page?a=b/c#d", "www.wikipedia.org"),
        ("https://www.wikipedia.org:8443/x", "www.wikipedia.org"),
        ("https://www.wikipedia.org./", "www.wikipedia.org"),
        ("https://www.wikipedia.org?a=/b", "www.wikipedia.org"),
        ("https://208.80.154.224/", ""),  # an address is not named
        ("https://[2620:0:861:ed1a::1]/", ""),
    ],
)
def test_over_tls_only_the_handshake_can_be_seen(url: str, server_name: str) -> None:
    assert speech(url) == Speech(tls=True, server_name=server_name, protocols=("h2", "http/1.1"))


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("http://www.wikipedia.org", "www.wikipedia.org", "/"),
        ("http://www.wikipedia.org:80/a", "www.wikipedia.org", "/a"),
        ("http://www.wikipedia.org:8080/a?b=c", "www.wikipedia.org:8080", "/a?b=c"),
        ("http://[2620:0:861:ed1a::1]/", "[2620:0:861:ed1a::1]", "/"),
    ],
)
def test_plain_http_shows_its_host_and_path(url: str, authority: str, path: str) -> None:
    assert speech(url) == Speech(tls=False, protocols=("http/1.1",), authority=authority, path=path)


def test_where_any_status_will_do_the_head_is_asked_for() -> None:
    assert speech("http://www.wikipedia.org", None).method == "HEAD"


@given(st.text(alphabet="/?#:@[]%.a1", max_size=12))
def test_a_path_does_not_change_the_server_name(rest: str) -> None:
    assert speech(f"https://www.wikipedia.org/{rest}") == speech("https://www.wikipedia.org")
