"""Who sees an entry: what a Sidecar resource excludes, and to whom the mesh shows entries (serviceEntryVisibility)."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

import pytest

from cli import Cli, Ran, entry, start_object
from cluster.istiod import Istiod
from egressctl.istio.export_to import is_exported_to_namespace, parse_visibility
from egressctl.manifests.service_entry import read_entry
from egressctl.model.entry import ServiceEntry
from labs import Lab, eventually

PLACES = ("istiod",)
URL = "https://www.wikipedia.org"
VISIBILITY = "serviceEntryVisibility"
Limit = Callable[..., None]


def verified(cli: Cli, *judged: tuple[str, str | None]) -> Ran:
    """Verify the entry until that is judged so."""
    found: list[Ran] = []

    def holds() -> bool:
        found.append(cli("verify", "wikipedia", "--probe", URL, "-o", "json"))
        return found[-1].judged == list(judged)

    assert eventually(holds), found[-1].stdout
    return found[-1]


def cause_of(ran: Ran) -> str:
    return str(ran.probes[0]["cause"]["message"])


@pytest.mark.parametrize("excluded", ["~default/*", "~./wikipedia.org", "~/*.org", "~*/wikipedia.org"])
def test_what_a_sidecar_resource_excludes_is_hidden_by_it(cli: Cli, lab: Lab, excluded: str) -> None:
    lab.create(entry())
    verified(cli, ("open", None))
    start_object(lab, "Sidecar", "narrow", {"egress": [{"hosts": ["*/*", excluded]}]})
    ran = verified(cli, ("blocked", "hidden-by-sidecar"))
    assert f"Sidecar default/narrow lets the pod import */*, {excluded}, so it hides default/wikipedia-ext" in cause_of(ran)
    for said in (cli("verify", URL).stdout, cli("explain", URL).stdout):
        assert "hidden-by-sidecar" in said, "and it is the same from a URL alone"
    assert f'take "{excluded}" out of its egress hosts' in cli("lint", "serviceentry/wikipedia-ext").stdout
    lab.api("DELETE", "/apis/networking.istio.io/v1/namespaces/default/sidecars/narrow")
    verified(cli, ("open", None))


def test_what_it_excludes_of_another_namespace_is_no_cause(cli: Cli, lab: Lab) -> None:
    lab.create(entry())
    start_object(lab, "Sidecar", "narrow", {"egress": [{"hosts": ["*/*", "~other/*", "~/*.example"]}]})
    verified(cli, ("open", None))


@pytest.fixture
def limit(lab: Lab) -> Iterator[Limit]:
    """Have the mesh say to whom entries are shown."""
    assert isinstance(lab.fed_by, Istiod)
    istiod = lab.fed_by

    def set_limit(**more: object) -> None:
        istiod.set_more(**{VISIBILITY: {"applyToSidecars": True, **more}})

    yield set_limit
    istiod.set_more()


def by_label(visibility: str, **labels: str) -> Mapping[str, object]:
    return {"visibility": visibility, "matchingRules": [{"namespaceSelector": {"matchLabels": labels}}]}


def test_an_entry_that_the_mesh_shows_to_nobody(cli: Cli, lab: Lab, limit: Limit) -> None:
    lab.create(entry(exportTo=["*"]))
    verified(cli, ("open", None))
    limit(defaultVisibility="NONE")
    ran = verified(cli, ("blocked", "not-exported"))
    shows = f"the mesh's {VISIBILITY} shows the ServiceEntries of namespace default to no namespace"
    assert cause_of(ran).startswith(
        f"{shows}, so namespace default does not get default/wikipedia-ext, whatever its exportTo says"
    )
    assert ran.probes[0]["cause"]["hint"] == "kubectl get configmap -n istio-system istio -o yaml"
    for said in (cli("verify", URL).stdout, cli("explain", URL).stdout):
        assert f"not-exported: {shows}" in " ".join(said.split()), "and it is the same from a URL alone"
    assert f"not-exported  default/wikipedia-ext: {shows}" in cli("lint", "serviceentry/wikipedia-ext").stdout
    assert f"! visibility       the mesh's {VISIBILITY} limits" in cli("doctor").stdout
    limit(defaultVisibility="NONE", policies=[by_label("PUBLIC", **{"istio-injection": "enabled"})])
    verified(cli, ("open", None))


def test_an_entry_that_the_mesh_shows_to_its_own_namespace_alone(cli: Cli, lab: Lab, limit: Limit) -> None:
    there = entry(exportTo=["*"])
    there["metadata"]["namespace"] = "other"
    lab.create(there)
    asked = ("verify", "serviceentry/other/wikipedia-ext", "--probe", URL, "-o", "json")
    assert eventually(lambda: cli(*asked).judged == [("open", None)])
    limit(policies=[by_label("NAMESPACE", **{"kubernetes.io/metadata.name": "other"})])
    assert eventually(lambda: cli(*asked).judged == [("blocked", "not-exported")])
    assert "shows the ServiceEntries of namespace other only to the namespace itself" in cause_of(cli(*asked))


def test_whatever_the_mesh_says_who_sees_an_entry_is_whom_istiod_gives_it(cli: Cli, lab: Lab, limit: Limit) -> None:
    """EGRESSCTL_TEST_SEED gives other limits."""
    seed = int(os.environ.get("EGRESSCTL_TEST_SEED") or random.randrange(1 << 32))
    chance = random.Random(seed)
    entries: list[ServiceEntry] = []
    for place in ("default", "other"):
        for number, exports in enumerate(([], ["*"], ["."], ["default"], ["other"])):
            name = f"{place}-{number}"
            each = entry(name, hosts=[f"{name}.example"], addresses=[f"198.51.100.{len(entries)}"], exportTo=exports)
            each["metadata"]["namespace"] = place
            lab.create(each)
            entries.append(read_entry(each))
    labels = {
        place: lab.api("GET", f"/api/v1/namespaces/{place}")[1]["metadata"].get("labels", {}) for place in ("default", "other")
    }
    for _ in range(8):
        config = {"applyToSidecars": True, **a_limit(chance)}
        limit(**config)
        visibility = parse_visibility({VISIBILITY: config})
        assert visibility is not None
        shown = [replace(each, shown_to=visibility.shown_to(labels[each.namespace])) for each in entries]
        expected = {each.hosts[0] for each in shown if is_exported_to_namespace(each, "default")}
        assert eventually(partial(has_hosts, lab, expected)), (
            f"EGRESSCTL_TEST_SEED={seed}: {config}: {hosts_in(lab)}, not {expected}"
        )


def has_hosts(lab: Lab, expected: set[str]) -> bool:
    return hosts_in(lab) == expected


def a_limit(chance: random.Random) -> dict[str, object]:
    key = "kubernetes.io/metadata.name"
    rules = [
        {"namespaceSelector": {"matchLabels": {"istio-injection": "enabled"}}},
        {"namespaceSelector": {"matchLabels": {key: "other"}}},
        {"namespaceSelector": {"matchExpressions": [{"key": key, "operator": "NotIn", "values": ["other"]}]}},
        {"namespaceSelector": {"matchExpressions": [{"key": "istio-injection", "operator": "DoesNotExist"}]}},
        {"namespaceSelector": {}},
    ]
    limits = ("NONE", "NAMESPACE", "PUBLIC")
    policies = [
        {"visibility": chance.choice(limits), "matchingRules": chance.sample(rules, chance.randint(0, 2))}
        for _ in range(chance.randint(0, 3))
    ]
    return {"defaultVisibility": chance.choice(limits), "policies": policies}


def hosts_in(lab: Lab) -> set[str]:
    """Name the hosts of entries that the sidecar leads to, as its listeners have it."""
    text = lab.admin_text("config_dump?resource=dynamic_listeners")
    states = [each.get("active_state") for each in json.loads(text).get("configs", ())]
    return set(re.findall(r'"outbound\|443\|\|([a-z]+-[0-9]\.example)"', json.dumps(states)))


def test_a_limit_that_sidecars_do_without_is_no_cause(cli: Cli, lab: Lab, limit: Limit) -> None:
    limit(defaultVisibility="NONE", applyToSidecars=False)
    lab.create(entry())
    verified(cli, ("open", None))


def test_create_says_that_the_mesh_shows_an_entry_to_nobody_and_does_not_wait_for_it(cli: Cli, lab: Lab, limit: Limit) -> None:
    limit(defaultVisibility="NONE")
    ran = cli("create", "wikipedia", "--export-to", "*")
    assert f"default/wikipedia-ext: the mesh's {VISIBILITY} shows" in ran.told("warning")[0]
    assert ran.code == 3
    assert f"{VISIBILITY} shows the ServiceEntries of namespace default to no namespace" in ran.error
