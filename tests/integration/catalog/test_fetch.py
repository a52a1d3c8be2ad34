"""Lists are fetched over HTTPS from a real server, and whatever it does is a list, an unchanged list, or one sentence."""

from __future__ import annotations

import gzip
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from egressctl import __version__
from egressctl.catalog.fetch import FetchedList, FetchLimits, Validators, fetch
from egressctl.catalog.http_cache import fetch_with_cache
from egressctl.errors import FetchFailed
from egressctl.lab.certificates import Authority
from publisher import Answer, Asked, Proxy, Publisher, in_turn, served, status, tls

LIST = b'{"prefixes": []}'
LATE = FetchLimits(total=0.2)
SMALL = FetchLimits(size=1 << 20)
HUNDRED_MB = 100 * 1000 * 1000


def refused(url: str, limits: FetchLimits | None = None) -> str:
    """What is said of a list that does not come, after its address."""
    with pytest.raises(FetchFailed) as caught:
        fetch(url, limits=limits or FetchLimits())
    assert caught.value.exit_code == 3
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.startswith(f"{url} ")
    return sentence.removeprefix(f"{url} ")


# What comes


def test_a_list_comes_with_what_to_ask_by_the_next_time(publisher: Publisher) -> None:
    url = publisher.publish(status(200, LIST, ETag='"one"', Last_Modified="Fri, 21 Aug 2026 10:00:00 GMT"))
    assert fetch(url) == FetchedList(LIST, Validators('"one"', "Fri, 21 Aug 2026 10:00:00 GMT"))
    [(_, headers)] = publisher.asked
    assert headers["User-Agent"] == f"egressctl/{__version__}"
    assert not {"If-None-Match", "If-Modified-Since", "Cookie", "Authorization"} & set(headers)


def test_an_unchanged_list_is_not_sent_again(publisher: Publisher) -> None:
    url = publisher.publish(status(304))
    assert fetch(url, Validators('"one"', "Fri, 21 Aug 2026 10:00:00 GMT")) is None
    [(_, headers)] = publisher.asked
    assert (headers["If-None-Match"], headers["If-Modified-Since"]) == ('"one"', "Fri, 21 Aug 2026 10:00:00 GMT")


def test_unchanged_is_no_answer_to_who_has_nothing(publisher: Publisher) -> None:
    assert refused(publisher.publish(status(304))) == "answered 304"


@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain; charset=utf-8", "binary/octet-stream", "application/geo+json", ""]
)
def test_kinds_of_content_that_lists_are_sent_as(kind: str, publisher: Publisher) -> None:
    assert fetch(publisher.publish(status(200, LIST, Content_Type=kind))) == FetchedList(LIST, Validators())


def test_a_packed_list_is_unpacked(publisher: Publisher) -> None:
    url = publisher.publish(status(200, gzip.compress(LIST), Content_Encoding="gzip"))
    assert fetch(url) == FetchedList(LIST, Validators())


def test_a_list_that_has_moved_is_followed(publisher: Publisher) -> None:
    publisher.publish(LIST, "/new")
    publisher.publish(status(301, Location="/new"), "/old")
    for answer in (status(302, Location=publisher.url("/old")), status(308, Location="/old")):
        assert fetch(publisher.publish(answer)) == FetchedList(LIST, Validators())


# What is refused


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (status(404), "answered 404: the list is not there any more"),
        (status(410), "answered 410: the list is not there any more"),
        (status(500), "answered 500"),
        (status(204), "answered 204"),
        (status(429), "answered 429: it takes no more requests now"),
        (status(503), "answered 503: it takes no more requests now"),
        (status(200, b"<html>", Content_Type="text/html"), "answered with text/html where a list was expected"),
        (status(200, b"x", Content_Type="te\x1bxt/x"), "answered with te\\x1bxt/x where a list was expected"),
        (status(200, LIST, Content_Length=""), "does not say how long its answer is, so that one cut short would not be seen"),
        (status(200, LIST, Content_Length="100"), "was cut short"),
        (status(200, b"5\r\nabc", Content_Length="", Transfer_Encoding="chunked"), "was cut short"),
        (status(200, gzip.compress(LIST * 99)[:-9], Content_Encoding="gzip"), "was cut short"),
        (status(200, gzip.compress(LIST) * 2, Content_Encoding="gzip"), "goes on behind what is packed in it"),
        (status(200, LIST, Content_Encoding="gzip"), "says that it is packed as gzip, and is not"),
        (status(200, LIST, Content_Encoding="br"), "is packed as br, which was not asked for"),
        (status(302), "leads on to no address, which is no plain https address"),
        (status(302, Location="http://localhost/x"), "leads on to http://localhost/x, which is no plain https address"),
        (status(302, Location="file:///etc/passwd"), "leads on to file:///etc/passwd, which is no plain https address"),
        (status(302, Location="/list"), "leads on more than 5 times"),
        (lambda asked: asked.wfile.write(b"SSH-2.0-x\r\n\r\n"), "broke off: illegal status line: bytearray(b'SSH-2.0-x')"),
        (lambda asked: None, "broke off: Server disconnected without sending a response."),
    ],
)
def test_what_is_no_list(answer: Answer, said: str, publisher: Publisher) -> None:
    assert refused(publisher.publish(answer)) == said


@pytest.mark.parametrize(
    "url",
    ["http://localhost/list", "file:///etc/passwd", "https://", "https://[::1/list", "list", "https://user:secret@localhost/"],
)
def test_what_is_not_even_asked_for(url: str) -> None:
    with pytest.raises(FetchFailed, match="lists are read over https, without a user") as caught:
        fetch(url)
    assert "secret" not in str(caught.value)


def chunked(pieces: Iterator[bytes], sent: list[int]) -> Answer:
    """Send pieces without saying how many there are, and note how much has gone."""

    def answer(asked: Asked) -> None:
        asked.say(200, Content_Length="", Transfer_Encoding="chunked")
        for piece in pieces:
            asked.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            sent.append(len(piece))
        asked.wfile.write(b"0\r\n\r\n")

    return answer


def test_a_hundred_megabytes_are_not_read_to_their_end(publisher: Publisher) -> None:
    sent: list[int] = []
    piece = b"x" * (1 << 18)
    url = publisher.publish(chunked(itertools.repeat(piece, HUNDRED_MB // len(piece)), sent))
    assert refused(url) == "is larger than 16 MiB, which no list of addresses is"
    assert sum(sent) < HUNDRED_MB / 2


def test_a_hundred_megabytes_that_are_announced_are_not_read_at_all(publisher: Publisher) -> None:
    url = publisher.publish(status(200, b"x", Content_Length=str(HUNDRED_MB)))
    assert refused(url) == "is larger than 16 MiB, which no list of addresses is"


def test_a_hundred_megabytes_that_are_packed_small_are_not_unpacked(publisher: Publisher) -> None:
    url = publisher.publish(status(200, gzip.compress(bytes(HUNDRED_MB), 1), Content_Encoding="gzip"))
    assert refused(url) == "is larger than 16 MiB, which no list of addresses is"


def test_a_list_of_just_the_size_is_taken(publisher: Publisher) -> None:
    for length, good in ((SMALL.size, True), (SMALL.size + 1, False)):
        for answer in (status(200, b"1" * length), status(200, gzip.compress(b"1" * length), Content_Encoding="gzip")):
            url = publisher.publish(answer)
            if good:
                found = fetch(url, limits=SMALL)
                assert found is not None
                assert len(found.data) == length
            else:
                assert refused(url, SMALL) == "is larger than 1 MiB, which no list of addresses is"


# Time


def test_a_server_that_goes_silent_is_not_waited_for(publisher: Publisher) -> None:
    for first in (b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[1"):

        def silent(asked: Asked, first: bytes = first) -> None:
            asked.wfile.write(first)
            asked.until_the_end()

        url = publisher.publish(silent)
        assert refused(url, LATE) == "gave no whole answer within 0.2 s"
        assert refused(url, FetchLimits(read=0.1)) == "gave nothing more in time"


def test_a_server_that_drips_is_not_waited_for(publisher: Publisher) -> None:
    """Each byte comes in time, and the whole would take for ever."""

    def dripping(asked: Asked) -> None:
        asked.say(200, Content_Length="", Transfer_Encoding="chunked")
        while not asked.server.over.wait(0.01):
            asked.wfile.write(b"1\r\n1\r\n")

    assert refused(publisher.publish(dripping), FetchLimits(read=10, total=0.2)) == "gave no whole answer within 0.2 s"


def test_a_server_that_asks_to_wait_is_asked_again(publisher: Publisher) -> None:
    for code in (429, 503):
        url = publisher.publish(in_turn(status(code, Retry_After="0"), status(200, LIST)))
        assert fetch(url) == FetchedList(LIST, Validators())
    past = status(429, Retry_After="Fri, 21 Aug 2020 10:00:00 GMT")
    assert fetch(publisher.publish(in_turn(past, status(200, LIST)))) == FetchedList(LIST, Validators())


def test_a_server_that_asks_to_wait_for_long_or_always_is_not(publisher: Publisher) -> None:
    assert refused(publisher.publish(status(429, Retry_After="3600"))) == "asks to wait 3600 s"
    publisher.asked.clear()
    assert refused(publisher.publish(status(429, Retry_After="0"))) == "asked 3 times to wait"
    assert len(publisher.asked) == 3
    assert refused(publisher.publish(status(503, Retry_After="Sat, 21 Aug 2100 10:00:00 GMT"))).startswith("asks to wait ")


# Trust and ways


def test_a_certificate_of_nobody_is_not_trusted(publisher: Publisher, tmp_path: Path) -> None:
    with served(tls(Authority("somebody"), tmp_path, ["localhost"])) as server:
        assert refused(f"https://localhost:{server.server_port}/list") == "has a certificate that is not trusted"
        assert not server.asked


def test_a_certificate_of_another_name_is_not_trusted(publisher: Publisher) -> None:
    publisher.publish(LIST)
    assert refused(f"https://127.0.0.1:{publisher.server.server_port}/list") == "has a certificate that is not trusted"


def test_where_nobody_listens(publisher: Publisher) -> None:
    assert refused("https://localhost:1/list").startswith("could not be reached: ")


def test_authorities_that_cannot_be_read_are_named(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    assert refused(publisher.url()) == "cannot be asked for: No such file or directory (SSL_CERT_FILE, SSL_CERT_DIR)"


def test_the_proxy_of_the_environment_is_gone_through(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    url = publisher.publish(LIST)
    proxy = Proxy()
    proxy.start()
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    assert fetch(url) == FetchedList(LIST, Validators())
    assert proxy.tunnels == [f"localhost:{publisher.server.server_port}"]
    monkeypatch.setenv("NO_PROXY", "localhost")
    assert fetch(url) == FetchedList(LIST, Validators())
    assert len(proxy.tunnels) == 1
    proxy.close()


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:1", "nonsense://127.0.0.1:1", "http://user:secret@127.0.0.1:1"])
def test_a_proxy_that_does_not_help_is_one_sentence(proxy: str, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    assert "secret" not in refused(publisher.publish(LIST))


# What is remembered


def test_a_list_that_is_remembered_is_asked_for_by_its_etag(publisher: Publisher, tmp_path: Path) -> None:
    url = publisher.publish(in_turn(status(200, LIST, ETag='"one"'), status(304), status(200, b"[]", ETag='"two"'), status(304)))
    assert [fetch_with_cache(url, tmp_path) for _ in range(4)] == [LIST, LIST, b"[]", b"[]"]
    assert [headers.get("If-None-Match") for _, headers in publisher.asked] == [None, '"one"', '"one"', '"two"']


@pytest.mark.parametrize("damage", [b"", b"{}\nx", b"[" * 9999, b'{"url": 1', b"\xff\n"])
def test_what_is_remembered_wrongly_is_fetched_again(damage: bytes, publisher: Publisher, tmp_path: Path) -> None:
    url = publisher.publish(status(200, LIST, ETag='"one"'))
    fetch_with_cache(url, tmp_path)
    [file] = tmp_path.iterdir()
    whole = file.read_bytes()
    for broken in (damage, whole[:-1], whole + b" "):
        file.write_bytes(broken)
        publisher.asked.clear()
        assert fetch_with_cache(url, tmp_path) == LIST
        assert "If-None-Match" not in publisher.asked[0][1]
    assert file.read_bytes() == whole


def test_a_folder_that_takes_nothing_stops_no_list(publisher: Publisher) -> None:
    assert fetch_with_cache(publisher.publish(status(200, LIST, ETag='"one"')), Path(os.devnull)) == LIST
