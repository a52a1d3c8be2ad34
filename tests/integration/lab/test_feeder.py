"""The feeder between a Kubernetes API's changes and an Envoy that takes its time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from egressctl.errors import LabFailed
from egressctl.lab.dataplane.envoy_config import SidecarConfig
from egressctl.lab.dataplane.feeder import Feeder
from egressctl.lab.dataplane.objects import PLURALS
from egressctl.lab.dataplane.xds import ConfigFiles
from egressctl.lab.state import Paths

OUTSIDE = Paths(Path("/"), "lab")


class SlowEnvoy:
    """Takes an update only when told to."""

    version = 1

    def __init__(self) -> None:
        self.taken: list[SidecarConfig] = []
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def replace(self, wanted: SidecarConfig) -> bool:
        self.taken.append(wanted)
        self.begun.set()
        await self.go_on.wait()
        return True


def entry(name: str) -> dict[str, Any]:
    spec = {"hosts": [name], "addresses": ["192.0.2.0/24"], "ports": [{"number": 443, "name": "tcp", "protocol": "TCP"}]}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


def hosts(resources: SidecarConfig) -> set[str]:
    return {name.rpartition("|")[2] for name in resources.clusters if name.startswith("outbound|")}


def listed(feeder: Feeder) -> None:
    """Tell of every kind that there is none of it."""
    for plural in PLURALS:
        feeder._changed(plural, [])


async def during_an_update() -> tuple[SlowEnvoy, bool]:
    """Let twenty changes of entries and one of the policy come while an update is under way."""
    envoy = SlowEnvoy()
    feeder = Feeder(cast("ConfigFiles", envoy), OUTSIDE, "REGISTRY_ONLY")
    feeding = asyncio.create_task(feeder._feed())
    listed(feeder)
    await envoy.begun.wait()
    for count in range(20):
        feeder._changed("serviceentries", [entry(f"host-{number}.example") for number in range(count + 1)])
    policy = asyncio.create_task(feeder.set_policy("ALLOW_ANY"))
    await asyncio.sleep(0)
    early = policy.done()
    envoy.go_on.set()
    await policy
    feeding.cancel()
    return envoy, early


def test_changes_during_an_update_become_one() -> None:
    envoy, _ = asyncio.run(during_an_update())
    assert [len(hosts(taken)) for taken in envoy.taken] == [0, 20]


def test_a_policy_is_set_when_envoy_has_it_and_not_before() -> None:
    envoy, early = asyncio.run(during_an_update())
    assert not early
    catch_all = envoy.taken[-1].listeners["virtualOutbound"]["filter_chains"][1]
    assert catch_all["filters"][0]["typed_config"]["cluster"] == "PassthroughCluster"


async def during_a_stall() -> tuple[list[int], list[int]]:
    """Let changes come while the feeder is stalled; return how many hosts Envoy was given in each update, before and after."""
    envoy = SlowEnvoy()
    envoy.go_on.set()
    feeder = Feeder(cast("ConfigFiles", envoy), OUTSIDE, "REGISTRY_ONLY")
    feeding = asyncio.create_task(feeder._feed())
    listed(feeder)
    await feeder.first_feed()
    await feeder.stall()
    for count in range(3):
        feeder._changed("serviceentries", [entry(f"host-{number}.example") for number in range(count + 1)])
        await asyncio.sleep(0)
    before = [len(hosts(taken)) for taken in envoy.taken]
    await feeder.resume()
    feeding.cancel()
    return before, [len(hosts(taken)) for taken in envoy.taken]


def test_what_comes_during_a_stall_is_fed_at_its_end() -> None:
    before, after = asyncio.run(during_a_stall())
    assert before == [0]
    assert after == [0, 3]


def test_nothing_is_fed_before_every_kind_is_listed() -> None:
    async def told_of_some() -> bool:
        feeder = Feeder(cast("ConfigFiles", SlowEnvoy()), OUTSIDE, "REGISTRY_ONLY")
        for plural in PLURALS[:-1]:
            feeder._changed(plural, [])
        return feeder._wake.is_set()

    assert not asyncio.run(told_of_some())


def test_what_ends_the_watch_ends_the_feeder(tmp_path: Path) -> None:
    with pytest.raises(LabFailed, match="cannot be used"):
        asyncio.run(Feeder(cast("ConfigFiles", SlowEnvoy()), OUTSIDE, "REGISTRY_ONLY").run(tmp_path / "nowhere"))
