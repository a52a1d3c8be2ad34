"""`egressctl catalog diff`, against entries on an API server and a recorded list."""

from __future__ import annotations

from cli import Cli, entry, made
from egressctl.catalog import lookup
from integration.catalog.tables import DIFFERENCES, DOCUMENTS, LIST, states
from labs import Lab

# The document's entry, of 2018, against the list of 2026


def test_the_documents_entry_lacks_three_sites_and_one_has_moved(cli: Cli, lab: Lab) -> None:
    lab.create(entry(addresses=DOCUMENTS))
    ran = cli("catalog", "diff", "wikipedia", *LIST, "--no-dns")
    assert (ran.code, ran.stdout) == (1, DIFFERENCES)
    assert "wikipedia (default): 4 differences between catalogue, entry and published" in ran.stderr


def test_what_programs_read(cli: Cli, lab: Lab) -> None:
    lab.create(entry(addresses=DOCUMENTS))
    ran = cli("catalog", "diff", "wikipedia", *LIST, "--no-dns", "-o", "json")
    assert (ran.code, ran.report["kind"], ran.report["exitCode"]) == (1, "CatalogDiff", 1)
    [target] = ran.report["targets"]
    assert (target["name"], target["where"], target["different"], target["notAsked"]) == ("wikipedia", "default", True, [])
    assert target["asked"] == ["catalogue", "entry", "published"]
    moved = {
        "name": "ulsfo",
        "state": "moved",
        "block": "198.35.26.224/27",
        "was": "198.35.26.96/27",
        "catalogue": "yes",
        "entry": "old",
        "published": "yes",
        "dns": None,
    }
    assert [row for row in target["rows"] if row["state"] == "moved"] == [moved]


# Which entries are meant


def test_what_create_made_is_no_different(cli: Cli, lab: Lab) -> None:
    made(lab)
    ran = cli("catalog", "diff", "wikipedia", *LIST, "--no-dns")
    assert (ran.code, {state for _, state in states(ran.stdout)}) == (0, {"same", "retired"})


def test_without_a_name_every_target_that_has_an_entry_is_taken(cli: Cli, lab: Lab) -> None:
    made(lab)
    nobody = {"HTTPS_PROXY": "http://127.0.0.1:1"}  # so that no list is fetched, wherever this runs
    ran = cli.having(**nobody)("catalog", "diff", "--no-dns", "-o", "json")
    assert [each["name"] for each in ran.report["targets"]] == ["wikipedia"]
    assert (ran.code, ran.report["targets"][0]["asked"]) == (3, ["catalogue", "entry"])


def test_the_parts_of_a_target_are_held_together(cli: Cli, lab: Lab) -> None:
    blocks = list(lookup.get_target("wikipedia").spec["addresses"])
    lab.create(entry("wikipedia-ext-0-1", addresses=blocks[:4]))
    lab.create(entry("wikipedia-ext-128-0-0-0-1", addresses=blocks[4:]))
    ran = cli("catalog", "diff", "wikipedia", *LIST, "--no-dns")
    assert (ran.code, {state for _, state in states(ran.stdout)}) == (0, {"same", "retired"})


def test_entries_of_others_are_known_by_their_hosts_and_each_namespace_is_told(cli: Cli, lab: Lab) -> None:
    lab.create(entry("team-wiki", addresses=DOCUMENTS))
    other = entry("wikipedia-ext", addresses=[*DOCUMENTS, "8.8.8.0/24"])
    other["metadata"]["namespace"] = "other"
    lab.create(other)
    ran = cli("catalog", "diff", "wikipedia", "-A", *LIST, "--no-dns")
    assert ran.code == 1
    first, second = ran.stdout.split("\n\n")
    assert first.startswith("wikipedia (default)\nNAME ")
    assert second.startswith("wikipedia (other)\nNAME ")
    assert ("-", "extra") in states(second) - states(first)


def test_hosts_and_ports_are_compared_too(cli: Cli, lab: Lab) -> None:
    ports = [{"number": 443, "name": "tls", "protocol": "TLS"}]
    lab.create(
        entry(addresses=lookup.get_target("wikipedia").spec["addresses"], ports=ports, hosts=["wikipedia.org", "wikimedia.org"])
    )
    ran = cli("catalog", "diff", "wikipedia", *LIST, "--no-dns")
    assert ran.code == 1
    assert states(ran.stdout) >= {("port", "missing"), ("port", "extra"), ("host", "extra")}


# What could not be asked


def test_without_an_entry_nothing_is_called_the_same(cli: Cli) -> None:
    ran = cli("catalog", "diff", "wikipedia", *LIST, "--no-dns")
    assert ran.code == 3
    assert "not asked: the Kubernetes cluster: there is no ServiceEntry of wikipedia in namespace default" in ran.stderr
    assert states(ran.stdout) >= {("codfw", "same")}
    none = cli("catalog", "diff", "--no-dns")
    assert (none.code, none.error) == (3, "there is no ServiceEntry of a target of the catalogue in namespace default")
    assert cli("catalog", "diff", "wikipedia", *LIST, "--no-dns", "--no-entry").code == 0
