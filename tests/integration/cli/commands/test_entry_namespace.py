"""`-n` is the source pod's namespace; the entry's own is found. A namespace that does not exist is told as that."""

from __future__ import annotations

from typing import Any

import pytest

from cli import Cli, Ran, entry, sidecar_leads_to
from faults import Call, FaultProxy, Respond
from labs import Lab, eventually

TLS = [{"number": 443, "name": "tls", "protocol": "TLS"}]
WWW = "www.wikipedia.org"


def made(lab: Lab, namespace: str = "other", export_to: str = "*", name: str = "wiki-ext", host: str = WWW) -> None:
    manifest = entry(name, hosts=[host], addresses=[], ports=TLS, exportTo=[export_to])
    manifest["metadata"]["namespace"] = namespace
    lab.create(manifest)


def seen(lab: Lab, host: str = WWW) -> bool:
    return eventually(lambda: sidecar_leads_to(lab, host))


def place(ran: Ran) -> str:
    [target] = ran.report["targets"]
    [name] = target["serviceEntries"]
    return f"{target['namespace']}/{name}"


class TestVerify:
    @pytest.mark.parametrize(
        "argv",
        [
            ["wiki"],
            ["wiki-ext"],
            ["serviceentry/wiki-ext"],
            ["serviceentry/other/wiki-ext"],
            ["se/other/wiki-ext"],
            ["other/wiki"],
            ["wiki", "--entry-namespace", "other"],
            ["wiki", "-n", "default"],
        ],
    )
    def test_an_entry_that_is_exported_to_the_pod_is_found(self, cli: Cli, lab: Lab, argv: list[str]) -> None:
        made(lab)
        assert seen(lab)
        ran = cli("verify", *argv, "-o", "json")
        assert (ran.code, ran.judged, place(ran)) == (0, [("open", None)], "other/wiki-ext")
        assert ran.probes[0]["source"]["namespace"] == "default"

    def test_that_of_the_pods_own_namespace_goes_first(self, cli: Cli, lab: Lab) -> None:
        made(lab, host="en.wikipedia.org")
        made(lab, "default")
        assert seen(lab)
        assert place(cli("verify", "wiki", "-o", "json")) == "default/wiki-ext"
        assert place(cli("verify", "serviceentry/other/wiki-ext", "-o", "json")) == "other/wiki-ext"

    @pytest.mark.parametrize("command", ["verify", "explain"])
    def test_of_two_each_is_named_with_the_line_to_type(self, cli: Cli, lab: Lab, command: str) -> None:
        made(lab)
        made(lab, "istio-system", host="en.wikipedia.org")
        assert seen(lab)
        ran = cli(command, "wiki")
        lines = [f"egressctl {command} serviceentry/{each}/wiki-ext -n default" for each in ("istio-system", "other")]
        assert (ran.code, ran.hint) == (2, ", or ".join(lines))
        assert "istio-system/wiki-ext, other/wiki-ext" in ran.error
        assert cli(*lines[1].split()[1:]).code == 0

    def test_one_that_is_not_exported_is_the_cause(self, cli: Cli, lab: Lab) -> None:
        made(lab, export_to=".")
        ran = cli("verify", "wiki", "-o", "json")
        assert (ran.code, ran.judged, place(ran)) == (1, [("blocked", "not-exported")], "other/wiki-ext")

    def test_one_that_is_not_exported_does_not_make_two(self, cli: Cli, lab: Lab) -> None:
        made(lab, "istio-system", export_to=".", host="en.wikipedia.org")
        made(lab)
        assert seen(lab)
        assert place(cli("verify", "wiki", "-o", "json")) == "other/wiki-ext"

    def test_a_file_finds_it_as_well(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        assert seen(lab)
        manifest = entry("wiki-ext", hosts=[WWW])
        del manifest["metadata"]["namespace"]
        assert place(cli("verify", "-f", cli.file(str(manifest)), "-o", "json")) == "other/wiki-ext"

    def test_where_only_some_namespaces_may_be_listed_the_rest_is_told(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab)
        proxy.rules = refuse("/apis/networking.istio.io/v1/serviceentries")
        ran = cli.at(proxy.kubeconfig)("verify", "wiki")
        assert ran.code == 2
        assert "namespaces other than default and istio-system were not looked at: no right to list them all" in ran.error
        assert cli.at(proxy.kubeconfig)("verify", "wiki", "--entry-namespace", "other").code == 0

    def test_it_is_told_of_a_target_of_the_catalogue_too(self, cli: Cli, proxy: FaultProxy) -> None:
        proxy.rules = refuse("/apis/networking.istio.io/v1/serviceentries")
        ran = cli.at(proxy.kubeconfig)("verify", "wikipedia", "-o", "json")
        assert ran.judged[0] == ("blocked", "entry-missing")
        assert any("were not looked at" in each for each in ran.report["warnings"])

    def test_what_is_missing_there_is_said_of_there(self, cli: Cli) -> None:
        ran = cli("verify", "wikipedia", "--entry-namespace", "other", "-o", "json")
        assert ran.judged[0] == ("blocked", "entry-missing")
        assert "namespace other" in ran.probes[0]["cause"]["message"]

    def test_an_entry_that_is_there_costs_no_list_of_all_namespaces(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab, "default")
        assert seen(lab)
        asked: list[str] = []
        proxy.rules = lambda call: asked.append(call.path)
        assert cli.at(proxy.kubeconfig)("verify", "wiki").code == 0
        assert not [path for path in asked if path.endswith(("v1/serviceentries", "v1/namespaces"))]


@pytest.mark.parametrize(
    "argv", [["wiki"], ["serviceentry/other/wiki-ext"], ["other/wiki"], ["wiki", "--entry-namespace", "other"]]
)
def test_explain_finds_it_as_verify_does(cli: Cli, lab: Lab, argv: list[str]) -> None:
    made(lab)
    assert seen(lab)
    ran = cli("explain", *argv, "-o", "json")
    [path] = ran.report["paths"]
    assert (ran.code, path["serviceEntry"]) == (0, "other/wiki-ext")


class TestANamespaceThatDoesNotExist:
    COMMANDS: tuple[tuple[str, ...], ...] = (
        ("verify",),
        ("verify", "wikipedia"),
        ("verify", "nothing-of-it"),
        ("verify", "--all"),
        ("verify", "--probe", "https://www.wikipedia.org"),
        ("verify", "--probe", "https://www.wikipedia.org", "--pod", "deploy/web"),
        ("explain", "https://www.wikipedia.org"),
        ("explain", "nothing-of-it"),
        ("create", "wikipedia"),
        ("create", "wikipedia", "--no-wait"),
        ("create", "wikipedia", "--with-source"),
        ("run", "wikipedia"),
        ("diff", "wikipedia"),
        ("cleanup",),
        ("cleanup", "wikipedia"),
        ("list",),
        ("lint",),
        ("lint", "wikipedia"),
        ("snapshot", "saved"),
    )

    @pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
    def test_it_is_told_as_that(self, cli: Cli, argv: tuple[str, ...]) -> None:
        ran = cli(*argv, "-n", "defalt")
        assert (ran.code, ran.error) == (3, "there is no namespace defalt: did you mean default?")

    def test_so_is_that_of_an_entry(self, cli: Cli) -> None:
        for argv in (["serviceentry/othr/wiki"], ["wikipedia", "--entry-namespace", "othr"]):
            ran = cli("verify", *argv)
            assert (ran.code, ran.error) == (3, "there is no namespace othr: did you mean other?")

    @pytest.mark.parametrize("argv", [("verify", "wikipedia"), ("list",), ("cleanup",)], ids=" ".join)
    def test_where_it_may_not_be_read_all_is_as_before(self, cli: Cli, proxy: FaultProxy, argv: tuple[str, ...]) -> None:
        proxy.rules = refuse("/api/v1/namespaces/defalt")
        ran = cli.at(proxy.kubeconfig)(*argv, "-n", "defalt")
        assert "there is no namespace" not in ran.stderr + ran.stdout

    def test_where_they_may_not_be_listed_none_is_proposed(self, cli: Cli, proxy: FaultProxy) -> None:
        proxy.rules = refuse("/api/v1/namespaces")
        ran = cli.at(proxy.kubeconfig)("list", "-n", "defalt")
        assert (ran.code, ran.error) == (3, "there is no namespace defalt")


def refuse(path: str) -> Any:
    def rule(call: Call) -> Respond | None:
        return Respond(403, "Forbidden") if call.path == path else None

    return rule
