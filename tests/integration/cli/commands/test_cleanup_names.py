"""`cleanup` takes every name that `list` and `verify` print, a host, a file; and says of every other that it means nothing."""

from __future__ import annotations

import pytest

from cli import DELETED, Cli, Ran, entry, made, nothing_is_left, owned
from egressctl.catalog.targets import target_from_flags
from egressctl.model.probe import Target
from labs import Lab

TARGETS = """\
apiVersion: egressctl.dev/v1alpha1
kind: EgressTarget
metadata: {name: wikipedia}
spec:
  serviceEntry:
    hosts: [wikipedia.org]
    addresses: [208.80.154.224/27]
    ports: [{number: 443, name: tcp-port, protocol: TCP}]
    resolution: NONE
  probes: [{name: portal, url: "https://www.wikipedia.org"}]
"""


def of_host(host: str, port: int, name: str, *others: str) -> Target:
    """The target that `create HOST:PORT` makes, by its name."""
    return target_from_flags(name, hosts=[host, *others], addresses=["192.0.2.7"], ports=[f"{port}/TCP"], resolution="NONE")


def removed(ran: Ran, lab: Lab) -> bool:
    return (ran.code, ran.stdout) == (0, DELETED) and nothing_is_left(lab)


NAMES = [
    "wikipedia",
    "wikipedia-ext",
    "serviceentry/wikipedia-ext",
    "serviceentries/wikipedia-ext",
    "se/wikipedia-ext",
    "serviceentry.networking.istio.io/wikipedia-ext",
    "serviceentry/default/wikipedia-ext",
    "serviceentry.networking.istio.io/default/wikipedia-ext",
    "default/wikipedia-ext",
    "default/wikipedia",
    "wikipedia.org",
    "wikipedia.org:443",
    "https://wikipedia.org/wiki/Main_Page",
    "tcp://wikipedia.org:443",
]


class TestNames:
    @pytest.mark.parametrize("name", NAMES)
    def test_every_spelling_removes_it(self, cli: Cli, lab: Lab, name: str) -> None:
        made(lab)
        assert removed(cli("cleanup", name, "--no-verify", "-q"), lab)

    @pytest.mark.parametrize("name", ["serviceentry/default/wikipedia-ext", "default/wikipedia-ext"])
    def test_a_name_with_its_namespace_is_found_from_another(self, cli: Cli, lab: Lab, name: str) -> None:
        made(lab)
        assert removed(cli("cleanup", name, "-n", "kube-system", "--no-verify", "-q"), lab)

    def test_what_list_prints_is_what_cleanup_and_verify_take(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        heading, row = cli("list").stdout.splitlines()
        assert heading.split()[:2] == ["TARGET", "SERVICEENTRY"]
        assert row.split()[:2] == ["wikipedia", "default/wikipedia-ext"]
        [here], [everywhere] = (cli("list", *words, "-o", "name").stdout.split() for words in ((), ("-A",)))
        assert here == "serviceentry.networking.istio.io/wikipedia-ext"
        assert everywhere == "serviceentry/default/wikipedia-ext"
        for name in (*row.split()[:2], here, everywhere):
            ran = cli("cleanup", name, "--dry-run")
            assert (ran.code, ran.stdout) == (0, DELETED.replace("\n", " (dry run)\n")), name
        assert cli("verify", here).code == 0

    def test_as_a_sentence_names_it(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        assert removed(cli("cleanup", "ServiceEntry", "default/wikipedia-ext", "--no-verify", "-q"), lab)

    def test_a_target_of_a_family_by_its_name_in_the_catalogue(self, cli: Cli, lab: Lab) -> None:
        made(lab, of_host("s3.eu-west-1.amazonaws.com", 443, "aws-s3-eu-west-1"))
        assert cli("cleanup", "aws/s3/eu-west-1", "--no-verify").code == 0
        assert nothing_is_left(lab, "s3.eu-west-1.amazonaws.com")

    def test_several_names_go_at_once(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        made(lab, of_host("api.example.com", 443, "api-example-com"))
        ran = cli("cleanup", "wikipedia", "serviceentry/wikipedia-ext", "api.example.com", "--no-verify", "-q")
        assert (ran.code, len(ran.stdout.splitlines())) == (0, 2)
        assert not owned(lab)


class TestHosts:
    def test_a_host_is_the_target_that_was_created_of_it(self, cli: Cli, lab: Lab) -> None:
        made(lab, of_host("api.example.com", 443, "api-example-com"))
        made(lab, of_host("api.example.com", 5432, "api-example-com-5432"))
        ran = cli("cleanup", "api.example.com", "--no-verify")
        assert ran.stdout == "serviceentry.networking.istio.io/api-example-com-ext deleted\n"
        assert ran.told("warning") == [
            "api.example.com is in another ServiceEntry of egressctl's as well: egressctl cleanup api-example-com-5432"
        ]
        assert owned(lab) == ["serviceentry/api-example-com-5432-ext"]
        assert cli("cleanup", "api.example.com:5432/TCP", "--no-verify").code == 0
        assert not owned(lab)

    def test_an_entry_that_opens_more_is_not_removed_by_one_host(self, cli: Cli, lab: Lab) -> None:
        made(lab, of_host("api.example.com", 443, "partner", "b.example.com"))
        ran = cli("cleanup", "https://api.example.com", "-n", "default")
        assert (ran.code, ran.stdout) == (2, "")
        assert ran.error == "ServiceEntry default/partner-ext opens more than https://api.example.com: b.example.com"
        assert ran.hint == "to remove all of it: egressctl cleanup partner -n default"
        assert owned(lab) == ["serviceentry/partner-ext"]

    def test_a_host_on_another_port_means_nothing(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        assert cli("cleanup", "wikipedia.org:8443").code == 1
        assert owned(lab) == ["serviceentry/wikipedia-ext"]


class TestFiles:
    @pytest.mark.parametrize("words", [("-f", "targets.yaml"), ("targets.yaml",), ("./targets.yaml",)])
    def test_the_targets_of_a_file(self, cli: Cli, lab: Lab, words: tuple[str, ...]) -> None:
        made(lab)
        cli.file(TARGETS)
        assert removed(cli("cleanup", *words, "--no-verify", "-q"), lab)

    def test_standard_input(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        assert removed(cli("cleanup", "-f", "-", "--no-verify", "-q", stdin=TARGETS), lab)

    def test_a_manifest_of_that_namespace(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        file = cli.file(TARGETS.replace("{name: wikipedia}", "{name: wikipedia, namespace: default}"))
        assert removed(cli("cleanup", "-f", file, "-n", "kube-system", "--no-verify", "-q"), lab)

    def test_what_is_not_there_is_told_and_is_no_failure(self, cli: Cli) -> None:
        ran = cli("cleanup", "-f", cli.file(TARGETS))
        assert (ran.code, ran.stdout) == (0, "target wikipedia: there is nothing to delete\n")

    def test_what_others_made_stays(self, cli: Cli, lab: Lab) -> None:
        lab.create(entry())
        ran = cli("cleanup", "-f", cli.file(TARGETS))
        assert (ran.code, ran.error) == (
            1,
            "ServiceEntry default/wikipedia-ext was not made by egressctl, which does not delete it",
        )

    def test_a_file_that_is_not_there(self, cli: Cli) -> None:
        assert cli("cleanup", "-f", "missing.yaml").code == 2
        assert cli("cleanup", "missing.yaml").code == 1


class TestUnknownNames:
    def test_a_misspelt_name_is_an_error_that_names_the_nearest_of_ours(self, cli: Cli, lab: Lab) -> None:
        made(lab, of_host("api.example.com", 443, "partner"))
        ran = cli("cleanup", "partnr", "-n", "default")
        assert (ran.code, ran.stdout) == (1, "")
        assert ran.error.endswith("neither the catalogue nor a file has that name: did you mean partner?")
        assert ran.hint == "egressctl cleanup partner -n default; --ignore-not-found makes this a success"
        assert owned(lab) == ["serviceentry/partner-ext"]

    def test_or_of_the_catalogue(self, cli: Cli) -> None:
        ran = cli("cleanup", "wikpedia")
        assert (ran.code, ran.error.partition(": did")[2]) == (1, " you mean wikipedia?")
        assert "did you mean eu-west-1" in cli("cleanup", "aws/s3/eu-wst-1").error

    @pytest.mark.parametrize("name", ["partner", "serviceentry/partner-ext", "foo.example.com", "https://foo.example.com", "a/b"])
    def test_nothing_near(self, cli: Cli, name: str) -> None:
        ran = cli("cleanup", name)
        assert (ran.code, ran.stdout) == (1, "")
        assert ran.error.startswith("egressctl made no ")
        again = cli("cleanup", name, "--ignore-not-found")
        assert (again.code, again.told("error")) == (0, [])
        assert again.stdout.endswith(": there is nothing to delete\n")

    def test_one_unknown_name_keeps_all_of_them(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        assert cli("cleanup", "wikipedia", "partnr").code == 1
        assert owned(lab) == ["serviceentry/wikipedia-ext"]

    def test_a_target_of_the_catalogue_that_is_not_there_is_told_and_is_no_failure(self, cli: Cli) -> None:
        ran = cli("cleanup", "stripe")
        assert (ran.code, ran.stdout) == (0, "target stripe: there is nothing to delete\n")

    @pytest.mark.parametrize(("name", "code"), [("wikipedia", 0), ("wikipedia-ext", 1)])
    def test_it_is_named_where_it_is(self, cli: Cli, lab: Lab, name: str, code: int) -> None:
        made(lab)
        ran = cli("cleanup", name, "-n", "kube-system")
        assert ran.code == code
        assert f"egressctl cleanup {name} -n default" in ran.stderr
        assert owned(lab) == ["serviceentry/wikipedia-ext"]

    @pytest.mark.parametrize("words", [("cleanup",), ("cleanup", "wikipedia"), ("list",)])
    def test_a_namespace_that_does_not_exist_is_told(self, cli: Cli, words: tuple[str, ...]) -> None:
        ran = cli(*words, "-n", "nowhere")
        assert (ran.code, ran.stdout) == (3, "")
        assert ran.error.startswith("there is no namespace nowhere")

    def test_which_may_be_a_success(self, cli: Cli) -> None:
        assert cli("cleanup", "wikipedia", "-n", "nowhere", "--ignore-not-found").code == 0


class TestEverything:
    def test_all_namespaces_are_not_emptied_without_a_yes_where_nobody_can_be_asked(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        ran = cli("cleanup", "--all", "-A")
        assert (ran.code, ran.stdout, ran.hint) == (2, "", "egressctl cleanup --all -A --yes")
        assert owned(lab) == ["serviceentry/wikipedia-ext"]
        assert cli("cleanup", "--all", "-A", "--dry-run").code == 0
        assert removed(cli("cleanup", "--all", "-A", "--yes", "--no-verify", "-q"), lab)

    def test_several_are_named_with_the_namespace_that_was_asked_for(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        made(lab, of_host("api.example.com", 443, "partner"))
        assert cli("cleanup", "-n", "default").hint.endswith("egressctl cleanup --all -n default")
        assert cli("cleanup").hint.endswith("egressctl cleanup --all")

    def test_all_and_a_name_contradict_each_other(self, cli: Cli) -> None:
        ran = cli("cleanup", "wikipedia", "--all")
        assert (ran.code, ran.hint) == (2, "egressctl cleanup wikipedia")
