"""What the lab's internet answers, without a network."""

from __future__ import annotations

import pytest

from egressctl.lab.internet import ADDRESSES, ADDRESSES_IPV6, Response, answer, encode_response


def test_what_has_an_address_of_ipv6_has_one_of_ipv4_and_not_all_have() -> None:
    assert {*ADDRESSES} - {*ADDRESSES_IPV6} == {"untrusted.example"}
    assert all(":" in address for address in ADDRESSES_IPV6.values())


def test_the_bare_name_leads_to_the_portal() -> None:
    moved = answer("wikipedia.org", "/", tls=True)
    assert moved
    assert (moved.status, moved.headers["Location"]) == (301, "https://www.wikipedia.org/")


def test_plain_http_leads_to_https_as_at_wikipedia() -> None:
    moved = answer("www.wikipedia.org", "/wiki", tls=False)
    assert moved
    assert (moved.status, moved.headers["Location"]) == (301, "https://www.wikipedia.org/wiki")


def test_the_main_page_holds_the_count_in_one_line() -> None:
    page = answer("en.wikipedia.org", "/wiki/Main_Page?action=view", tls=True)
    assert page
    [line] = [line for line in page.body.decode().splitlines() if "articlecount" in line]
    assert '<a href="/wiki/Special:Statistics" title="Special:Statistics">7,012,345</a> articles in' in line


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/status/200", 200),
        ("/status/503", 503),
        ("/status/199", 404),
        ("/status/600", 404),
        ("/status/x", 404),
        ("/status/²", 404),
    ],
)
@pytest.mark.parametrize("host", [*ADDRESSES, "", "192.0.2.1"])
def test_any_site_answers_with_the_status_asked_for(host: str, path: str, status: int) -> None:
    response = answer(host, path, tls=True)
    assert response
    assert response.status == status


def test_slow_is_no_answer() -> None:
    assert answer("www.wikipedia.org", "/slow", tls=True) is None


def test_the_sites_of_wikipedia_share_an_address_and_the_outside_is_elsewhere() -> None:
    assert {ADDRESSES[name] for name in ADDRESSES if name.endswith("wikipedia.org")} == {"208.80.154.224"}
    assert not ADDRESSES["outside.example"].startswith("208.80.154.")


def test_head_has_the_length_but_not_the_body() -> None:
    response = Response(200, b"four", {"Content-Type": "text/plain"})
    head, full = (encode_response(response, head=is_head, close=False).decode() for is_head in (True, False))
    assert "Content-Length: 4\r\n" in head
    assert head.endswith("\r\n\r\n")
    assert full == head + "four"


def test_a_status_without_content_has_no_length() -> None:
    assert b"Content-Length" not in encode_response(Response(204), head=False, close=False)


def test_close_is_said() -> None:
    assert b"Connection: close\r\n" in encode_response(Response(200), head=False, close=True)
    assert b"Connection: keep-alive\r\n" in encode_response(Response(200), head=False, close=False)
