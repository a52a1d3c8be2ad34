"""A wait for a sidecar: when it is given up, and what it says of what did not come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

import recordings
from egressctl.envoy.config import Changes, ListenerVersion, ProxyConfig
from egressctl.envoy.dump import parse_config
from egressctl.errors import Forbidden, TimedOut
from egressctl.kube.rest import Api
from egressctl.manifests.service_entry import read_entry
from egressctl.mesh import sidecar as mesh_sidecar
from egressctl.mesh import wait_for_sidecar
from egressctl.mesh.client import Mesh
from egressctl.mesh.wait_for_sidecar import await_sidecar
from egressctl.model.entry import Manifest, MeshObjects, ServiceEntry
from egressctl.model.evidence import Source
from egressctl.runtime.progress import SilentProgress

SOURCE = Source("default", "sleep", "sleep", "istio-proxy")
WORDS = "error adding listener"
FOREVER = 3600.0


def at(config: ProxyConfig, moment: int) -> ProxyConfig:
    return replace(config, versions=frozenset({ListenerVersion("0.0.0.0_443", str(moment), str(moment))}))


def config_of(case: str, **changes: Any) -> ProxyConfig:
    return replace(parse_config(recordings.load(case).config_dump or ""), **changes)


def entries_of(case: str) -> list[ServiceEntry]:
    found = [read_entry(each) for each in recordings.load(case).manifests if each["kind"] == "ServiceEntry"]
    return [replace(each, created=f"2026-11-23T04:00:{index:02}Z") for index, each in enumerate(found)]


class Sidecar(mesh_sidecar.Sidecar):
    """Has these configurations one after the other, each seen twice, and then stays with the last."""

    def __init__(self, configs: Sequence[ProxyConfig], others: Sequence[ServiceEntry] | None = ()) -> None:
        super().__init__(cast("Api", None), SOURCE)
        self.configs, self.others, self.looks, self.lists = [at(each, n) for n, each in enumerate(configs)], others, 0, 0
        self.sidecars: tuple[Manifest, ...] = ()
        self.uid: str | None = ""
        """Of the entry, None where it is gone."""

    def entry(self, namespace: str, name: str) -> Manifest | None:
        return None if self.uid is None else {"metadata": {"namespace": namespace, "name": name, "uid": self.uid}}

    def _now(self) -> ProxyConfig:
        return self.configs[min(self.looks // 2, len(self.configs) - 1)]

    def config(self) -> ProxyConfig:
        return self._now()

    def changes(self) -> Changes:
        self.looks += 1
        return Changes(0, self.configs.index(self._now()), 0, 0, 0, 0)

    def counts(self) -> dict[str, Any]:
        return {}

    def around(self) -> MeshObjects:
        self.lists += 1
        if self.others is None:
            raise Forbidden("user ci may not list serviceentries", verb="list", resource="serviceentries")
        return MeshObjects(entries=tuple(self.others), sidecars=self.sidecars)


def wait(sidecar: Sidecar, entry: ServiceEntry, timeout: float = FOREVER) -> None:
    if sidecar.uid is not None:
        sidecar.uid = entry.uid
    await_sidecar(cast("Mesh", sidecar), sidecar, [entry], timeout, SilentProgress())


def late(sidecar: Sidecar, entry: ServiceEntry, timeout: float = FOREVER) -> TimedOut:
    with pytest.raises(TimedOut) as failure:
        wait(sidecar, entry, timeout)
    return failure.value


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a sidecar shows is held to be of after the apply from the first moment on."""
    monkeypatch.setattr(wait_for_sidecar, "_SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(
        wait_for_sidecar, "read_mesh_objects", lambda mesh, _, *, services: mesh.around() if not services else None
    )


def test_what_comes_is_waited_for_and_nobody_else_is_asked() -> None:
    [entry] = entries_of("seed")
    sidecar = Sidecar([config_of("seed")])
    wait(sidecar, entry)
    assert sidecar.lists == 0


def test_what_comes_late_is_waited_for() -> None:
    [entry] = entries_of("seed")
    wait(Sidecar([config_of("no-entry-registry-only"), config_of("seed")]), entry)


def test_a_block_that_an_older_entry_holds_is_given_up() -> None:
    rival, entry = entries_of("same-cidr-older-rival")
    failure = late(Sidecar([config_of("same-cidr-older-rival")], [rival, entry]), entry)
    assert str(failure).startswith(
        "the ServiceEntry is applied, but waiting does not help: the sidecar of pod sleep does not have 208.80.154.224/27:443: "
        "ServiceEntry default/rival-ext takes it"
    )
    assert failure.hint == "kubectl get serviceentry -n default rival-ext -o yaml; then: egressctl verify -n default"


def test_it_is_given_up_only_when_all_the_rest_has_come() -> None:
    """Else a command that follows would find blocks missing that were on their way."""
    rival, entry = entries_of("same-cidr-older-rival")
    config = config_of("same-cidr-older-rival")
    listener = config.listener("0.0.0.0_443")
    assert listener is not None
    held = [chain for chain in listener.filter_chains if "other.example" in chain.envoy_cluster]
    early = replace(config, listeners=(replace(listener, filter_chains=tuple(held)),))
    failure = late(Sidecar([early, config], [rival, entry]), entry)
    assert "does not have 208.80.154.224/27:443: " in str(failure)


def test_what_envoy_refused_before_the_apply_is_not_held_against_the_entry() -> None:
    [entry] = entries_of("seed")
    refused = config_of("no-entry-registry-only", errors={"0.0.0.0_443": WORDS})
    wait(Sidecar([refused, config_of("seed")]), entry)


def test_what_envoy_refused_since_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait_for_sidecar, "_REFUSAL_SECONDS", FOREVER)
    [entry] = entries_of("seed")
    before = config_of("no-entry-registry-only")
    failure = late(Sidecar([before, replace(before, errors={"0.0.0.0_443": WORDS})]), entry, 2.0)
    assert "waiting does not help: the sidecar of pod sleep does not have 91.198.174.192/27:443, " in str(failure)
    assert str(failure).endswith(f" and 2 more: Envoy refused the listener 0.0.0.0_443: {WORDS}")


def test_a_refusal_that_stands_long_is_given_up_whenever_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait_for_sidecar, "_REFUSAL_SECONDS", 0.0)
    [entry] = entries_of("seed")
    refused = config_of("no-entry-registry-only", errors={"0.0.0.0_443": WORDS})
    assert "waiting does not help" in str(late(Sidecar([refused]), entry))


def test_nothing_is_given_up_before_a_push_had_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait_for_sidecar, "_SETTLE_SECONDS", FOREVER)
    rival, entry = entries_of("same-cidr-older-rival")
    failure = late(Sidecar([config_of("same-cidr-older-rival")], [rival, entry]), entry, 0.05)
    assert str(failure).startswith("the ServiceEntry is applied, but after 0.05s the sidecar of pod sleep does not have")
    assert "ServiceEntry default/rival-ext takes it" in str(failure)
    assert failure.hint == "kubectl get serviceentry -n default rival-ext -o yaml; then: egressctl verify -n default"


def test_a_control_plane_that_stands_still_is_told_at_the_end_of_the_wait() -> None:
    [entry] = entries_of("seed")
    failure = late(Sidecar([config_of("no-entry-registry-only")]), entry, 0.05)
    assert str(failure).endswith("istiod has not pushed it")
    assert failure.hint == "istioctl proxy-status; then: egressctl verify -n default"


def test_what_could_not_be_looked_at_is_said() -> None:
    [entry] = entries_of("seed")
    failure = late(Sidecar([config_of("no-entry-registry-only")], None), entry, 0.05)
    assert str(failure).endswith(
        "istiod has not pushed it (the other objects on the Kubernetes cluster were not looked at: "
        "user ci may not list serviceentries)"
    )


@pytest.mark.parametrize(("hosts", "named"), [(["istio-system/*"], True), (["./wikipedia.org"], True), (["./*"], False)])
def test_a_sidecar_resource_that_hides_it_is_named(hosts: list[str], named: bool) -> None:
    [entry] = entries_of("seed")
    sidecar = Sidecar([config_of("no-entry-registry-only")])
    sidecar.sidecars = ({"metadata": {"namespace": "default", "name": "limit"}, "spec": {"egress": [{"hosts": hosts}]}},)
    failure = late(sidecar, entry, 0)
    assert ("Sidecar default/limit hides it from the pod" in str(failure)) is named
    assert ("kubectl get sidecar -n default limit -o yaml" in failure.hint) is named


@pytest.mark.parametrize("timeout", [FOREVER, 0])
def test_an_entry_that_was_deleted_meanwhile_is_not_waited_for(timeout: float) -> None:
    [entry] = entries_of("seed")
    sidecar = Sidecar([config_of("no-entry-registry-only")])
    sidecar.uid = None
    failure = late(sidecar, entry, timeout)
    assert str(failure) == f"ServiceEntry {entry} was deleted while the sidecar of pod sleep was waited for"
    assert failure.hint == "run the same command again to create it"
