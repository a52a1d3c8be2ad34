"""What a probe may say."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.manifests.probes import pattern_fault, probe_name, probe_of_url, read_probes, url_fault
from egressctl.manifests.problems import ProblemCollector
from egressctl.model.probe import Expectation, Probe, Verdict
from entries import JSON
from examples import examples


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
            ("", "neither http, https nor tcp"),
            ("www.wikipedia.org", "neither http, https nor tcp"),
            ("ftp://a.example", "neither http, https nor tcp"),
            ("file:///etc/passwd", "neither http, https nor tcp"),
            ("telnet://a.example:443", "neither http, https nor tcp"),
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


class TestBareConnections:
    @pytest.mark.parametrize("url", ["tcp://db.example.com:5432", "TCP://db.example.com:443", "tcp://192.0.2.1:80"])
    def test_one_is_asked_for_by_its_own_scheme(self, url: str) -> None:
        assert url_fault(url) is None
        probe = probe_of_url(url, "db")
        assert (probe.bare, probe.expect.status) == (True, None)

    @pytest.mark.parametrize(
        "url", ["tcp://db.example.com", "tcp://db.example.com:5432/", "tcp://db.example.com:5432?q", "tcp://db.example.com:1#f"]
    )
    def test_it_has_a_host_and_a_port_and_no_more(self, url: str) -> None:
        fault = url_fault(url)
        assert fault is not None
        assert "tcp://db.example.com:5432" in fault[1]

    @pytest.mark.parametrize(("url", "part"), [("tcp://sleep:80", "--allow-internal"), ("tcp://a@b.example:1", "leave them out")])
    def test_it_may_not_lead_where_no_url_may(self, url: str, part: str) -> None:
        fault = url_fault(url)
        assert fault is not None
        assert part in fault[1]

    def test_in_a_file_it_expects_no_status(self) -> None:
        found = ProblemCollector()
        [probe] = read_probes(found, [{"url": "tcp://db.example.com:5432", "expect": {"verdict": "blocked"}}])
        assert (probe.expect.verdict, probe.expect.status, found.problems) == (Verdict.BLOCKED, None, [])

    @pytest.mark.parametrize("more", [{"expect": {"status": 200}}, {"extract": {"x": "(a)"}}])
    def test_what_only_an_answer_has_is_refused(self, more: dict[str, Any]) -> None:
        found = ProblemCollector()
        read_probes(found, [{"url": "tcp://db.example.com:5432", **more}])
        assert [problem.message for problem in found.problems] == ["a bare connection has no answer to look at"]


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
            ({"url": "ftp://a"}, 'url: "ftp://a" is neither http, https nor tcp (such as https://www.wikipedia.org)'),
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

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ([{}] * 1001, "probes: there are 1,001 probes (at most 1,000 of one target)"),
            (
                [
                    {"url": "https://a.example", "extract": {f"a{each}-{one}": f"({each}{one})" for one in range(10)}}
                    for each in range(11)
                ],
                "probes: there are 110 expressions under extract (at most 100 of one target)",
            ),
        ],
    )
    def test_there_are_only_so_many(self, value: object, text: str) -> None:
        assert self.read(value) == ((), [text])

    def test_one_expression_counts_once_whatever_the_number_of_probes(self) -> None:
        probes, found = self.read([{"url": "https://a.example", "extract": {"a": "(a)"}}] * 1000)
        assert (len(probes), found) == (1000, [])

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
            r"(a+)+b",
            r"(a|aa)+$",
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
