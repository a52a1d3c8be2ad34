"""What the sidecar's admin interface answers may be of any shape: it is read, or ProxyUnreadable says what is not understood.

EGRESSCTL_TEST_SEED gives other changes, EGRESSCTL_TEST_MUTATIONS another number of them.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from typing import Any

import pytest

import recordings
from egressctl.envoy.changes import parse_changes
from egressctl.envoy.counts import parse_clusters
from egressctl.envoy.dump import parse_config, parse_envoy_clusters, parse_routes
from egressctl.envoy.info import parse_info
from egressctl.envoy.walk import outbound_policy, walk_config
from egressctl.errors import ProxyUnreadable
from egressctl.model.probe import Speech
from examples import EVERYTHING
from mutations import mutate

NUMBER = int(os.environ.get("EGRESSCTL_TEST_MUTATIONS") or (1000 if EVERYTHING else 25))
DUMPS = sorted((recordings.load(case) for case in recordings.cases()), key=lambda each: len(each.config_dump or "x" * 10**9))[:12]
"""The smallest, of which a change is the larger part."""
CHANGES = {
    "stats": [{"name": "listener_manager.lds.version", "value": 1}, {"name": "listener_manager.listener_modified", "value": 2}]
}
INFO = {"version": "a/1.31.0/Clean/RELEASE/BoringSSL", "state": "LIVE", "node": {"metadata": {"ISTIO_VERSION": "1.26.0"}}}


def _read_and_walk(text: str) -> None:
    config = parse_config(text)
    outbound_policy(config)
    for speech in (Speech(tls=False), Speech(tls=True, server_name="a.example"), Speech(tls=False, authority="a.example")):
        walk_config(config, "192.0.2.1", 443, speech)


READERS: dict[str, tuple[Callable[[str], Any], Callable[[random.Random], str]]] = {
    "listeners": (_read_and_walk, lambda chance: str(chance.choice(DUMPS).config_dump)),
    "routes": (parse_routes, lambda chance: str(chance.choice(DUMPS).config_dump)),
    "clusters": (parse_envoy_clusters, lambda chance: str(chance.choice(DUMPS).config_dump)),
    "counts": (parse_clusters, lambda chance: chance.choice(DUMPS).clusters),
    "changes": (parse_changes, lambda _: json.dumps(CHANGES)),
    "info": (parse_info, lambda _: json.dumps(INFO)),
}


@pytest.mark.parametrize("what", READERS)
def test_an_answer_of_any_shape_is_read_or_refused(what: str) -> None:
    seed = int(os.environ.get("EGRESSCTL_TEST_SEED") or random.randrange(1 << 32))
    chance = random.Random(seed)
    read, recorded = READERS[what]
    for number in range(NUMBER):
        content = mutate(recorded(chance).encode(), chance).decode("utf-8", "replace")
        try:
            read(content)
        except ProxyUnreadable:
            pass
        except Exception as bug:
            raise AssertionError(f"EGRESSCTL_TEST_SEED={seed}, number {number}") from bug
