"""The Envoy's bootstrap, held against a real sidecar's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import recordings
from egressctl.lab.dataplane.bootstrap import bootstrap
from egressctl.lab.dataplane.istiod_layout import ACCESS_LOG_FORMAT
from egressctl.lab.state import Paths

OURS = bootstrap(Paths(Path("/labs"), "lab"))


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
