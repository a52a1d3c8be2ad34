"""Why a sidecar lacks a block of a ServiceEntry, from recordings of a real one."""

from __future__ import annotations

from dataclasses import replace

import pytest

import recordings
from egressctl.envoy.config import ProxyConfig
from egressctl.envoy.dump import parse_config
from egressctl.manifests.service_entry import read_entry
from egressctl.mesh.propagation import missing_blocks
from egressctl.mesh.why_not_in_sidecar import CROWDED, NOT_PUSHED_HINT, Delay, summarise_delays, why_missing
from egressctl.model.cause import CauseCode
from egressctl.model.entry import ServiceEntry

BLOCK = "208.80.154.224/27:443"


def config_of(case: str) -> ProxyConfig:
    return parse_config(recordings.load(case).config_dump or "")


def entries_of(case: str) -> list[ServiceEntry]:
    """The case's entries in the order in which they were applied, a second apart."""
    found = [read_entry(each) for each in recordings.load(case).manifests if each["kind"] == "ServiceEntry"]
    return [replace(each, created=f"2026-11-23T04:00:{index:02}Z") for index, each in enumerate(found)]


def why(case: str, name: str, **changes: object) -> Delay:
    """Why the sidecar lacks the first block that it lacks of this entry."""
    entries = entries_of(case)
    entry = next(each for each in entries if str(each) == name)
    lacking = missing_blocks(config_of(case), entry)
    assert lacking
    return why_missing(config_of(case), entry, lacking[0], "default", entries, **changes)  # type: ignore[arg-type]


SHOW = "kubectl get serviceentry -n default"


@pytest.mark.parametrize(
    ("case", "name", "told"),
    [
        (
            "same-cidr-older-rival",
            "default/wikipedia-ext",
            Delay(
                "ServiceEntry default/rival-ext takes it, because it is the older: "
                "the sidecar sends it to outbound|443||other.example",
                f"{SHOW} rival-ext -o yaml",
                certain=True,
                code=CauseCode.RIVAL_ENTRY,
            ),
        ),
        (
            "same-cidr-two-entries",
            "default/rival-ext",
            Delay(
                "ServiceEntry default/wikipedia-ext takes it, because it is the older: "
                "the sidecar sends it to outbound|443||wikipedia.org",
                f"{SHOW} wikipedia-ext -o yaml",
                certain=True,
                code=CauseCode.RIVAL_ENTRY,
            ),
        ),
        (
            "port-15001",
            "default/bad-ext",
            Delay(
                "Envoy refused the listener 0.0.0.0_15001: error adding listener: '0.0.0.0_15001' has duplicate address "
                "'0.0.0.0:15001' as existing listener, to check if the listener has duplicated addresses with other listeners "
                "or 'enable_reuse_port' is set to 'false' for the listener",
                f"{SHOW} bad-ext -o yaml",
                certain=True,
                code=CauseCode.REJECTED_BY_PROXY,
            ),
        ),
        (
            "same-host-two-namespaces",
            "other/wikipedia-ext",
            Delay(
                "ServiceEntry default/wikipedia-ext has the same host, and a sidecar gets only one namespace's entries: "
                "the pod's own namespace's",
                f"{SHOW} wikipedia-ext -o yaml",
                certain=True,
                code=CauseCode.RIVAL_ENTRY,
            ),
        ),
        (
            "virtualservice-tcp",
            "default/wikipedia-ext",
            Delay(
                "VirtualService default/detour routes it to outbound|443||other.example",
                "kubectl get virtualservice -n default detour -o yaml",
                code=CauseCode.REROUTED,
            ),
        ),
        (
            "virtualservice-tcp-weighted",
            "default/wikipedia-ext",
            Delay(
                "VirtualService default/detour routes it to several Envoy clusters",
                "kubectl get virtualservice -n default detour -o yaml",
                code=CauseCode.REROUTED,
            ),
        ),
        ("sidecar-hides", "default/wikipedia-ext", Delay("istiod has not pushed it", NOT_PUSHED_HINT)),
    ],
)
def test_the_object_to_blame_is_named(case: str, name: str, told: Delay) -> None:
    assert why(case, name) == told


def test_a_port_for_which_a_sidecar_gets_no_listener_is_told() -> None:
    delay = why("port-15021", "default/bad-ext")
    assert delay.certain
    assert delay.reason.startswith("a sidecar gets no listener for port 15021, ")


@pytest.mark.parametrize("case", ["sidecar-hides", "sidecar-exact-host"])
def test_a_sidecar_resource_that_hides_it_is_named(case: str) -> None:
    delay = why(case, "default/wikipedia-ext", hidden_by=lambda entry, port: f"{entry.namespace}/only-{port}")
    show = "kubectl get sidecar -n default only-443 -o yaml"
    assert delay == Delay("Sidecar default/only-443 hides it from the pod", show, code=CauseCode.HIDDEN_BY_SIDECAR)


def test_what_could_not_be_looked_at_is_said_where_nothing_is_known_to_stand_in_the_way() -> None:
    delay = why("sidecar-hides", "default/wikipedia-ext", unseen="sidecars were not looked at")
    assert delay.reason == "istiod has not pushed it (sidecars were not looked at)"


def older(made: tuple[str, str], exports: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())) -> Delay:
    """Of two entries of one block, the rival, which the sidecar has, made at the first time."""
    rival, entry = (
        replace(each, created=created, export_to=export)
        for each, created, export in zip(entries_of("same-cidr-older-rival"), made, exports, strict=True)
    )
    return why_missing(config_of("same-cidr-older-rival"), entry, BLOCK, "default", [rival, entry])


SECOND = ("2026-11-23T04:00:01Z", "2026-11-23T04:00:01Z")
LATER = ("2026-11-23T04:00:02Z", "2026-11-23T04:00:01Z")
EARLIER = LATER[::-1]


@pytest.mark.parametrize(
    ("made", "exports", "certain"),
    [
        (EARLIER, ((), ()), True),
        (EARLIER, (("*",), ()), False),
        (EARLIER, ((".",), ("default",)), True),
        (SECOND, ((), ()), True),
        (LATER, ((), ()), False),
        (("", ""), ((), ()), False),
        (("yesterday", "2026-11-23T04:00:01Z"), ((), ()), False),
        (("2026-11-23T04:00:01", "2026-11-23T04:00:02Z"), ((), ()), False),
        (EARLIER, ((".",), ()), True),
        (LATER, ((".",), ()), False),
        (LATER, ((".",), ("*",)), True),
        (EARLIER, ((), (".",)), False),
    ],
)
def test_only_an_entry_that_comes_first_whatever_the_meshs_default_is_certain_to_keep_the_block(
    made: tuple[str, str], exports: tuple[tuple[str, ...], tuple[str, ...]], certain: bool
) -> None:
    delay = older(made, exports)
    assert delay.certain is certain
    assert "ServiceEntry default/rival-ext takes it" in delay.reason


def test_a_rival_that_may_not_be_read_is_told_by_its_envoy_cluster() -> None:
    [_, entry] = entries_of("same-cidr-older-rival")
    delay = why_missing(config_of("same-cidr-older-rival"), entry, BLOCK, "default", [entry])
    assert delay.reason == "another entry takes it: the sidecar sends it to outbound|443||other.example"
    assert not delay.certain


def test_a_namesake_of_another_namespace_that_does_not_come_first_is_no_reason() -> None:
    [own, other] = sorted(entries_of("same-host-two-namespaces"), key=lambda each: each.namespace != "default")
    config = config_of("sidecar-hides")

    def told(*, first: bool, **changes: object) -> Delay:
        namesake = replace(own, namespace="third", created=EARLIER[0] if first else LATER[0], **changes)  # type: ignore[arg-type]
        return why_missing(config, replace(other, created=EARLIER[1]), "203.0.113.0/24:443", "default", [namesake])

    assert told(first=True).reason.endswith("only one namespace's entries: the older")
    assert told(first=False) == Delay("istiod has not pushed it", NOT_PUSHED_HINT)
    for scopes in (("~",), (".",), ("other",)):
        assert told(first=True, export_to=scopes) == Delay("istiod has not pushed it", NOT_PUSHED_HINT)


def test_what_envoy_refused_for_another_address_or_port_is_no_reason() -> None:
    config = replace(config_of("sidecar-hides"), errors={"0.0.0.0_8443": "x", "192.0.2.1_443": "y", "virtualOutbound": "z"})
    [entry] = entries_of("sidecar-hides")
    assert why_missing(config, entry, BLOCK, "default", []).reason == "istiod has not pushed it"
    refused = why_missing(config, entry, "192.0.2.1/32:443", "default", [])
    assert (refused.reason, refused.certain) == ("Envoy refused the listener 192.0.2.1_443: y", True)


def test_a_crowded_port_is_told_with_how_many_filter_chains_it_has() -> None:
    config = config_of("seed")
    listener = config.listener("0.0.0.0_443")
    assert listener is not None
    chains = tuple(replace(listener.filter_chains[0], blocks=()) for _ in range(CROWDED))
    crowded = replace(config, listeners=(replace(listener, filter_chains=chains),))
    [entry] = entries_of("seed")
    delay = why_missing(crowded, entry, "192.0.2.0/24:443", "default", [])
    assert delay.reason.startswith("port 443 has 1,001 filter chains, and the more there are, the longer istiod needs")
    assert (delay.hint, delay.certain) == ("wait longer: --timeout 2m", False)


def test_several_reasons_are_told_with_those_that_are_certain_first() -> None:
    late, held = Delay("late", "wait"), Delay("held", "look", certain=True)
    assert summarise_delays([late, held, late]) == Delay("held; late", "look", certain=False)
    assert summarise_delays([held, held]) == held
    more = [Delay(str(number), "wait") for number in range(4)]
    assert summarise_delays(more).reason == "0; 1; 2 more reasons"
