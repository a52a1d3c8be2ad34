"""The Envoy's bootstrap, held against a real sidecar's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import recordings
from egressctl.lab.dataplane.bootstrap import bootstrap
from egressctl.lab.dataplane.istiod_layout import ACCESS_LOG_FORMAT
from egressctl.lab.state import Paths

PATHS = Paths(Path("/labs"), "lab")
OURS = bootstrap(PATHS)


def theirs() -> dict[str, Any]:
    dump = json.loads(recordings.load("seed").config_dump or "")
    real: dict[str, Any] = dump["configs"][0]["bootstrap"]
    return real


def test_the_same_statistics_are_hidden() -> None:
    assert OURS["stats_config"]["stats_matcher"] == theirs()["stats_config"]["stats_matcher"]


def test_the_admin_interface_is_where_istio_has_it() -> None:
    assert OURS["admin"]["address"] == theirs()["admin"]["address"]


def test_the_sidecar_says_the_same_of_itself() -> None:
    node = theirs()["node"]
    assert {name: OURS["node"][name] for name in ("id", "cluster")} == {name: node[name] for name in ("id", "cluster")}
    for name in ("NAME", "NAMESPACE", "INSTANCE_IPS", "INTERCEPTION_MODE"):
        assert OURS["node"]["metadata"][name] == node["metadata"][name]


def test_the_access_log_is_in_istios_format() -> None:
    assert json.dumps(ACCESS_LOG_FORMAT) in (recordings.load("seed").config_dump or "")


def test_a_lab_of_both_families_says_both_addresses_and_connects_from_both() -> None:
    dual = bootstrap(Paths(Path("/labs"), "lab", with_ipv6=True), Path("/run/istiod"))
    assert dual["node"]["metadata"]["INSTANCE_IPS"] == "10.244.0.5,fd00:10:244::5"
    assert dual["node"]["id"] == OURS["node"]["id"]
    bound = dual["cluster_manager"]["upstream_bind_config"]
    [more] = bound["extra_source_addresses"]
    assert more["address"] == {**bound["source_address"], "address": "::"}


class TestFedByAnIstiod:
    FED = bootstrap(PATHS, Path("/run/istiod"))

    def test_everything_comes_by_one_stream_as_with_istio(self) -> None:
        assert self.FED["dynamic_resources"] == theirs()["dynamic_resources"]

    @pytest.mark.parametrize(("name", "socket"), [("xds-grpc", "XDS"), ("sds-grpc", "SDS")])
    def test_the_streams_lead_to_the_sockets(self, name: str, socket: str) -> None:
        [ours, real] = [
            next(each for each in made["static_resources"]["clusters"] if each["name"] == name) for made in (self.FED, theirs())
        ]
        assert f'"pipe": {{"path": "/run/istiod/{socket}"}}' in json.dumps(ours)
        options = "typed_extension_protocol_options"
        assert ours[options] == real[options]

    def test_what_istiod_sends_is_reached_in_the_internets_namespace(self) -> None:
        source = self.FED["cluster_manager"]["upstream_bind_config"]["source_address"]
        assert source["network_namespace_filepath"] == str(PATHS.internet_namespace)

    def test_istiod_is_told_what_a_real_sidecar_tells_it(self) -> None:
        ours, real = self.FED["node"]["metadata"], theirs()["node"]["metadata"]
        for name in ("CLUSTER_ID", "ENVOY_STATUS_PORT", "ENVOY_PROMETHEUS_PORT", "LABELS"):
            assert ours[name] == real[name]
