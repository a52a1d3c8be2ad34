"""Commands in containers that go wrong in the ways in which they do: what is made of what comes back."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import old_curls
from cli import Cli, Odd, instead, made, pod, start_pod, with_environment
from egressctl.lab.api.settings import Container, EnterPlan
from faults import FaultProxy, Respond
from labs import Lab

pytestmark = pytest.mark.thorough

PORTAL = "https://www.wikipedia.org"
NOT_THERE = f"{PORTAL}:8443"
CURL = shutil.which("curl")

BEYOND = [
    (("--probe", "https://no-such-name.example"), "name-resolution"),
    (("--probe", "https://untrusted.example"), "tls-certificate"),
    (("--probe", f"{PORTAL}/slow", "--probe-timeout", "1s"), "timeout"),
    (("--probe", f"{PORTAL}/status/503"), "http-status"),
]
"""What curl tells of a connection that the mesh let out."""

AGENT = 'PATH=${PATH#*:}; exec pilot-agent "$@"'
"""The lab's own pilot-agent, from the script that stands before it in the PATH."""


def start_at(lab: Lab, at: Cli, manifest: dict[str, Any]) -> None:
    assert at.kubeconfig is not None
    start_pod(replace(lab, info=replace(lab.info, kubeconfig=at.kubeconfig)), manifest)


class TestAnOldCurl:
    """With the real one of Red Hat Enterprise Linux 8, and the oldest that a registry gives."""

    @pytest.fixture(params=old_curls.VERSIONS)
    def at(self, cli: Cli, odd: Odd, tmp_path: Path, request: pytest.FixtureRequest) -> Cli:
        found = old_curls.find(request.param)
        if isinstance(found, str):
            pytest.skip(found)
        return cli.at(odd(instead(tmp_path / "bin", "curl", f'echo x >> "$0.execs"\nexec {found} "$@"', sidecar=False)))

    def test_proves_what_a_new_one_does(self, at: Cli) -> None:
        ran = at("verify", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (0, [("open", None)] * 2)
        assert ran.probes[1]["extracted"]
        assert [probe["outcome"]["curlExit"] for probe in ran.probes] == [0, 0]

    def test_tells_a_refusal(self, at: Cli) -> None:
        ran = at("verify", "wikipedia", "--probe", NOT_THERE, "-o", "json")
        assert (ran.code, ran.judged) == (1, [("blocked", "port-not-listed")])
        assert ran.probes[0]["outcome"]["curlExit"] == 35

    @pytest.mark.parametrize(("way", "cause"), BEYOND)
    def test_tells_what_failed_beyond(self, at: Cli, way: tuple[str, ...], cause: str) -> None:
        ran = at("verify", "wikipedia", *way, "-o", "json")
        assert (ran.code, ran.judged) == (1, [("failed", cause)])

    @pytest.mark.parametrize("at_once", ["1", "16"])
    def test_many_probes_share_an_exec(self, at: Cli, at_once: str, tmp_path: Path) -> None:
        """40 in the new form, whose first says that curl is old, and then in the old one: not each by itself."""
        probes = [word for number in range(40) for word in ("--probe", f"{PORTAL}/status/200?{number}")]
        ran = at("verify", "wikipedia", *probes, "--probe", NOT_THERE, "--parallel", at_once, "-o", "json")
        assert (ran.code, ran.judged) == (1, [("open", None)] * 40 + [("blocked", "port-not-listed")])
        assert len((tmp_path / "bin" / "curl.execs").read_text().splitlines()) <= 24

    def test_is_seen_by_doctor(self, cli: Cli, odd: Odd, tmp_path: Path) -> None:
        script = f'[ "$1" = --version ] && {{ echo "curl 7.64.0 (x)"; exit; }}\nexec {CURL} "$@"'
        ran = cli.at(odd(instead(tmp_path / "bin", "curl", script, sidecar=False)))("doctor", "-o", "json")
        assert "curl 7.64.0 in container sleep is old: its first probes are sent twice" in ran.stdout

    @pytest.mark.parametrize(
        "script",
        [
            "echo \"curl: unknown --write-out variable: 'exitcode'\" >&2; echo 200",
            "echo 'curl: option --next: is unknown' >&2; exit 2",
        ],
        ids=["before 7.51", "before 7.36"],
    )
    def test_one_that_cannot_report_at_all_is_told_with_its_version(
        self, cli: Cli, odd: Odd, tmp_path: Path, script: str
    ) -> None:
        version = '[ "$1" = --version ] && { echo "curl 7.29.0 (x)"; exit; }\n'
        ran = cli.at(odd(instead(tmp_path / "bin", "curl", version + script, sidecar=False)))("verify", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (3, [("inconclusive", "no-curl")] * 2)
        message = "curl in container sleep of pod default/sleep is 7.29.0, which cannot report what a proof needs"
        assert ran.probes[0]["cause"]["message"] == f"{message}: that takes 7.51.0 or newer"


WITHOUT_TELNET = """\
for word; do
    shift
    case $word in telnet://*) word=none://${{word#telnet://}} ;; esac
    set -- "$@" "$word"
done
exec {curl} "$@"
"""
"""What a curl does that is built without telnet: it says that it does not support the protocol, with exit code 1."""


@pytest.mark.parametrize("version", ["new", *old_curls.VERSIONS])
def test_a_curl_without_telnet_shows_a_refusal_as_well(cli: Cli, odd: Odd, tmp_path: Path, version: str) -> None:
    """As curl-minimal of RHEL 9, UBI 9 and Amazon Linux 2023, which has HTTP, FTP and files alone."""
    curl = Path(str(CURL)) if version == "new" else old_curls.find(version)
    if isinstance(curl, str):
        pytest.skip(curl)
    at = cli.at(odd(instead(tmp_path / "bin", "curl", WITHOUT_TELNET.format(curl=curl), sidecar=False)))
    ran = at("verify", "wikipedia", "--probe", NOT_THERE, "--probe", "https://outside.example", "-o", "json")
    assert (ran.code, ran.judged) == (1, [("blocked", "port-not-listed"), ("blocked", "address-not-listed")])
    assert {probe["evidence"]["companion"] for probe in ran.probes} == {True}


class TestNoCurl:
    def test_another_container_that_has_it_is_named_and_not_taken(self, cli: Cli, odd: Odd, lab: Lab, tmp_path: Path) -> None:
        def way(container: Container, plan: EnterPlan) -> EnterPlan:
            return with_environment(PATH=str(tmp_path))(container, plan) if container.name == "sleep" else plan

        at = cli.at(odd(way))
        manifest = pod("two")
        manifest["spec"]["containers"].append({"name": "tools", "image": "x", "command": ["/bin/sleep", "infinity"]})
        start_at(lab, at, manifest)
        ran = at("verify", "wikipedia", "--pod", "two", "-c", "sleep", "-o", "json")
        assert (ran.code, ran.judged) == (3, [("inconclusive", "no-curl")] * 2)
        message = ran.probes[0]["cause"]["message"]
        assert message.startswith("container sleep of pod default/two has no curl, and wget, where it has that, does not show")
        assert message.endswith("; container tools of the same pod has curl: -c tools")

    def test_a_runtime_that_says_it_on_the_commands_own_stderr_is_understood(self, cli: Cli, odd: Odd, tmp_path: Path) -> None:
        script = "echo 'exec failed: executable file `curl` not found in $PATH: No such file or directory' >&2; exit 127"
        ran = cli.at(odd(instead(tmp_path / "bin", "curl", script, sidecar=False)))("verify", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (3, [("inconclusive", "no-curl")] * 2)

    @pytest.mark.parametrize("status", [400, 500])
    def test_a_kubelets_stand_in_that_refuses_the_whole_request_for_it_is_understood(
        self, cli: Cli, lab: Lab, proxy: FaultProxy, status: int
    ) -> None:
        made(lab)
        said = 'unable to upgrade connection: exec: "curl": executable file not found in $PATH'
        proxy.rules = lambda call: (
            Respond(status, "InternalError", said) if call.is_exec and "command=curl" in call.query else None
        )
        ran = cli.at(proxy.kubeconfig)("verify", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (3, [("inconclusive", "no-curl")] * 2)

    def test_a_curl_that_cannot_be_started_is_told_with_the_reason(self, cli: Cli, odd: Odd, tmp_path: Path) -> None:
        script = "echo 'error while loading shared libraries: libcurl.so.4' >&2; exit 127"
        ran = cli.at(odd(instead(tmp_path / "bin", "curl", script, sidecar=False)))("verify", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (3, [("inconclusive", "exec-failed")] * 2)
        assert "libcurl.so.4" in ran.probes[0]["cause"]["message"]


class TestTheAnswer:
    def test_of_megabytes_is_cut_and_told(self, cli: Cli, odd: Odd, tmp_path: Path) -> None:
        script = "head -c 30000000 /dev/zero"
        ran = cli.at(odd(instead(tmp_path / "bin", "curl", script, sidecar=False)))("verify", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (3, [("inconclusive", "evidence-lost")] * 2)
        assert "is longer than 4 MiB a body, and was cut" in ran.probes[0]["cause"]["message"]

    def test_of_nothing_is_lost(self, cli: Cli, odd: Odd, tmp_path: Path) -> None:
        ran = cli.at(odd(instead(tmp_path / "bin", "curl", "exit 0", sidecar=False)))("verify", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (3, [("inconclusive", "evidence-lost")] * 2)
        assert "was lost on the way from pod default/sleep" in ran.probes[0]["cause"]["message"]


WITHOUT_ROW = f"""\
case "$*" in *telnet:*) ;; *) exec {CURL} "$@" ;; esac
echo $(echo "$*") >> "$0.companions"
[ $(wc -l < "$0.companions") -gt {{times}} ] && exec {CURL} "$@"
{CURL} "$@" | grep -v ' 0100007F:3A99 '
"""
"""A curl whose first bare connections leave no row: neither their own, nor the sidecar's end at 127.0.0.1:15001."""


class TestACompanion:
    @pytest.mark.parametrize(
        ("times", "code", "verdict", "cause"),
        [
            (1, 0, "blocked", "port-not-listed"),
            (3, 0, "blocked", "port-not-listed"),
            (99, 3, "inconclusive", "evidence-lost"),
        ],
    )
    def test_whose_row_is_gone_is_opened_again(
        self, cli: Cli, odd: Odd, tmp_path: Path, times: int, code: int, verdict: str, cause: str
    ) -> None:
        way = instead(tmp_path / "bin", "curl", WITHOUT_ROW.format(times=times), sidecar=False)
        ran = cli.at(odd(way))("verify", "wikipedia", "--probe", NOT_THERE, "--expect", "blocked", "-o", "json")
        assert (ran.code, ran.judged) == (code, [(verdict, cause)])
        opened = (tmp_path / "bin" / "curl.companions").read_text().splitlines()
        # On a busy machine another may leave no row by itself, and is opened again as well.
        assert min(times + 1, 4) <= len(opened) <= 4
        # A local port that the kernel translates to another once, it translates so again.
        ports = [re.search(r"--local-port (\d+)", each) for each in opened]
        assert ports[:2] == [None, None]
        assert len({found and found[1] for found in ports[2:]}) == len(ports[2:])


class TestTheSidecar:
    @pytest.mark.parametrize(
        "before",
        [
            "echo '2026-11-23T04:00:00Z warn something odd'",
            """echo '{"level":"warn","time":"2026-11-23T04:00:00Z","msg":"odd"}'""",
            "echo '2026-11-23T04:00:00Z ERROR failed to set GOMEMLIMIT' >&2",
        ],
        ids=["a line on stdout", "a line in JSON", "a line on stderr"],
    )
    def test_what_it_logs_beside_its_answer_does_no_harm(self, cli: Cli, odd: Odd, tmp_path: Path, before: str) -> None:
        kubeconfig = odd(instead(tmp_path / "bin", "pilot-agent", f"{before}\n{AGENT}", sidecar=True))
        ran = cli.at(kubeconfig)("verify", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (0, [("open", None)] * 2)

    def test_without_pilot_agent_it_cannot_be_read(self, cli: Cli, odd: Odd, tmp_path: Path) -> None:
        def way(container: Container, plan: EnterPlan) -> EnterPlan:
            return EnterPlan(plan.prefix, {**plan.env, "PATH": str(tmp_path)}) if container.sidecar else plan

        at = cli.at(odd(way))
        ran = at("verify", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (4, [("unproven", "proxy-unreadable")] * 2)
        assert "container istio-proxy of pod default/sleep has no pilot-agent" in at("doctor").stdout

    @pytest.mark.parametrize("refuses", [False, True], ids=["takes the port", "takes Istio's own ports only"])
    def test_an_admin_port_that_the_pod_names_is_asked(self, cli: Cli, odd: Odd, lab: Lab, tmp_path: Path, refuses: bool) -> None:
        refusal = "echo 'Error: debug port 15100 is not in allowed list [15000 15004 15020 15021]' >&2; exit 255"
        takes = 'request=$1; [ "$2 $3" = "--debug-port 15100" ] || exit 9; shift 3; set -- "$request" "$@"'
        script = f'if [ "$2" = --debug-port ]; then\n{refusal}\nfi\n{AGENT}' if refuses else f"{takes}\n{AGENT}"
        at = cli.at(odd(instead(tmp_path / "bin", "pilot-agent", script, sidecar=True)))
        manifest = pod("ported")
        manifest["metadata"]["annotations"] = {"proxy.istio.io/config": "proxyAdminPort: 15100"}
        start_at(lab, at, manifest)
        ran = at("verify", "wikipedia", "--pod", "ported", "-o", "json")
        assert (ran.code, ran.judged) == (0, [("open", None)] * 2)
